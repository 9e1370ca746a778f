/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Put before a program (LD_PRELOAD), it shows it the render node of an Intel card where there is none:
 * /dev/dri/renderD128 opens, and answers what libdrm and libva ask of a node before they load a driver: its device
 * number, the folder of its device in /sys, and the name of its kernel driver. Behind it is /dev/null.
 */
#undef _FILE_OFFSET_BITS /* with it both names of a call would be one */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NODE "/dev/dri/renderD128"
#define DRIVER "i915"
enum { NODE_MAJOR = 226, NODE_MINOR = 128, FILES_MAX = 1024 };

static bool opened[FILES_MAX]; /* as the node, by descriptor */

static bool is_node(int fd)
{
	return fd >= 0 && fd < FILES_MAX && opened[fd];
}

/* What stands for a path. */
static const char *instead(const char *path)
{
	if (strcmp(path, NODE) == 0)
		return "/dev/null";
	return strcmp(path, "/sys/dev/char/226:128/device/drm") == 0 ? "/" : path;
}

/* Each has a second name, for large files; which one a program calls is a matter of how it was built. */
#define OPEN(name)                                                                                                     \
	int name(const char *path, int flags, ...)                                                                     \
	{                                                                                                              \
		static int (*real)(const char *, int, ...);                                                            \
		if (!real)                                                                                             \
			*(void **)&real = dlsym(RTLD_NEXT, #name);                                                     \
		va_list more;                                                                                          \
		va_start(more, flags);                                                                                 \
		mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                              \
		va_end(more);                                                                                          \
		int fd = real(instead(path), flags, mode);                                                             \
		if (fd >= 0 && fd < FILES_MAX)                                                                         \
			opened[fd] = strcmp(path, NODE) == 0;                                                          \
		return fd;                                                                                             \
	}
OPEN(open)
OPEN(open64)

#define STAT(name)                                                                                                     \
	int f##name(int fd, struct name *ret)                                                                          \
	{                                                                                                              \
		static int (*real)(int, struct name *);                                                                \
		if (!real)                                                                                             \
			*(void **)&real = dlsym(RTLD_NEXT, "f" #name);                                                 \
		int error = real(fd, ret);                                                                             \
		if (!error && is_node(fd))                                                                             \
			ret->st_rdev = makedev(NODE_MAJOR, NODE_MINOR);                                                \
		return error;                                                                                          \
	}                                                                                                              \
	int name(const char *path, struct name *ret)                                                                   \
	{                                                                                                              \
		static int (*real)(const char *, struct name *);                                                       \
		if (!real)                                                                                             \
			*(void **)&real = dlsym(RTLD_NEXT, #name);                                                     \
		return real(instead(path), ret);                                                                       \
	}
STAT(stat)
STAT(stat64)

int access(const char *path, int mode)
{
	static int (*real)(const char *, int);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "access");
	return real(instead(path), mode);
}

/* DRM_IOCTL_VERSION, as the kernel's drm.h has it */
struct version {
	int major, minor, patch;
	size_t name_size;
	char *name;
	size_t date_size;
	char *date;
	size_t text_size;
	char *text;
};

/* It is asked twice: for the sizes, then for the words. */
static void tell(char *to, size_t *size, const char *text)
{
	if (*size >= strlen(text))
		memcpy(to, text, strlen(text));
	*size = strlen(text);
}

int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, ...);
	va_list more;
	va_start(more, request);
	void *data = va_arg(more, void *);
	va_end(more);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ioctl");
	if (!is_node(fd))
		return real(fd, request, data);
	struct version *version = data;
	if (request != _IOWR('d', 0, struct version)) {
		errno = EINVAL;
		return -1;
	}
	tell(version->name, &version->name_size, DRIVER);
	tell(version->date, &version->date_size, "0");
	tell(version->text, &version->text_size, "a stand-in");
	return 0;
}
