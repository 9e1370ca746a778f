/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Linked statically: prints how many arguments it has, and them.
 */
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("%d", argc - 1);
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	puts("");
	return 0;
}
