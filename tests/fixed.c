/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Linked statically: prints how many arguments it has, and them. Called "hangs", it does not come back from -version.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strstr(argv[0], "hangs") && strcmp(argv[1], "-version") == 0)
		for (;;)
			pause();
	printf("%d", argc - 1);
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	puts("");
	return 0;
}
