/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Loaded into QEMU by board: keeps freed memory of the size of a subpage (QEMU 7.2 softmmu/physmem.c: a MemoryRegion and 4096
 * numbers of 2 bytes) from being used again for a while. When the kernel switches Intel's IOMMU on, x-pci-proxy-dev lets go
 * of QEMU's lock to tell the stand-ins of the new memory map; the subpage of the register that is being written may be freed
 * meanwhile, and is looked at once more. Without this 7 of about 200 machines ended with a segmentation fault there; with it none of about 140 did.
 */
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>

enum { SUBPAGE_MIN = 8192, SUBPAGE_MAX = 10240, KEPT = 1024 };

extern void __libc_free(void *pointer); /* glibc's own */
void free(void *pointer);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *kept[KEPT];
static size_t next;

void free(void *pointer)
{
	size_t size = pointer ? malloc_usable_size(pointer) : 0;
	if (size >= SUBPAGE_MIN && size <= SUBPAGE_MAX) {
		pthread_mutex_lock(&lock);
		void *oldest = kept[next];
		kept[next] = pointer;
		next = (next + 1) % KEPT;
		pthread_mutex_unlock(&lock);
		pointer = oldest;
	}
	__libc_free(pointer);
}
