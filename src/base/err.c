/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
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

bool err_errno(struct err *err, int number, const char *format, ...)
{
	if (!err)
		return false;
	char what[384];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return err_set(err, ERR_SYSTEM, "%s: %s", what, strerror(number));
}

bool err_wrap(struct err *err, const char *format, ...)
{
	if (!err)
		return false;
	char inner[sizeof err->text], context[256];
	memcpy(inner, err->text, sizeof inner);
	va_list args;
	va_start(args, format);
	vsnprintf(context, sizeof context, format, args);
	va_end(args);
	int used = snprintf(err->text, sizeof err->text, "%s: ", context);
	if (used > 0 && (size_t)used < sizeof err->text)
		strncat(err->text, inner, sizeof err->text - (size_t)used - 1);
	return false;
}

bool err_hint(struct err *err, const char *format, ...)
{
	if (!err)
		return false;
	va_list args;
	va_start(args, format);
	vsnprintf(err->hint, sizeof err->hint, format, args);
	va_end(args);
	return false;
}
