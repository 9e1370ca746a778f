/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool(err_set)(struct err *err, enum err_kind kind, const char *format, ...)
{
	if (!err)
		return false;
	err->kind = kind;
	err->hint[0] = '\0';
	va_list args;
	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	return false;
}

bool(err_errno)(struct err *err, int number, const char *format, ...)
{
	if (!err)
		return false;
	char what[384];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	err_set(err, ERR_SYSTEM, "%s: %s", what, strerror(number));
	return number == ENOSPC || number == EDQUOT ? err_hint(err, "make room") : false;
}

bool(err_wrap)(struct err *err, const char *format, ...)
{
	if (!err)
		return false;
	char context[256], whole[sizeof err->text + sizeof context];
	va_list args;
	va_start(args, format);
	vsnprintf(context, sizeof context, format, args);
	va_end(args);
	snprintf(whole, sizeof whole, "%s: %s", context, err->text);
	memcpy(err->text, whole, sizeof err->text - 1); /* the end of a text too long is what is lost */
	err->text[sizeof err->text - 1] = '\0';
	return false;
}

bool(err_hint)(struct err *err, const char *format, ...)
{
	if (!err)
		return false;
	va_list args;
	va_start(args, format);
	vsnprintf(err->hint, sizeof err->hint, format, args);
	va_end(args);
	return false;
}
