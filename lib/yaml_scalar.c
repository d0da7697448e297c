// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/yaml_scalar.h"

#define DIGITS "0123456789"

static bool is_one_of(const char *text, const char *const words[3])
{
	return strcmp(text, words[0]) == 0 || strcmp(text, words[1]) == 0 ||
	       strcmp(text, words[2]) == 0;
}

/* A decimal without leading zeros: 007 is a name, not a number. */
static bool is_decimal_start(const char *digits, size_t n)
{
	return n > 0 && (n == 1 || digits[0] != '0');
}

static const char *skip_sign(const char *s)
{
	return *s == '-' || *s == '+' ? s + 1 : s;
}

static bool is_integer(const char *text)
{
	const char *s = skip_sign(text);
	size_t n = strspn(s, DIGITS);

	return s[n] == '\0' && is_decimal_start(s, n);
}

/* [-+]? ( digits ( . digits? )? | . digits ) ( [eE] [-+]? digits )? */
static bool is_real(const char *text)
{
	const char *s = skip_sign(text);
	size_t whole = strspn(s, DIGITS);
	size_t part = 0;

	if (whole > 0 && !is_decimal_start(s, whole))
		return false;
	s += whole;
	if (*s == '.') {
		part = strspn(++s, DIGITS);
		s += part;
	}
	if (whole + part == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		size_t n;

		s = skip_sign(s + 1);
		n = strspn(s, DIGITS);
		if (n == 0)
			return false;
		s += n;
	}
	return *s == '\0';
}

/* 0x… and 0o…; 0 when it is neither. */
static int radix(const char *text)
{
	const char *digits = text + 2;

	if (strncmp(text, "0x", 2) == 0 && *digits != '\0' &&
		digits[strspn(digits, DIGITS "abcdefABCDEF")] == '\0')
		return 16;
	if (strncmp(text, "0o", 2) == 0 && *digits != '\0' &&
		digits[strspn(digits, "01234567")] == '\0')
		return 8;
	return 0;
}

static json_t *integer(const char *text, int base)
{
	long long value;

	errno = 0;
	value = strtoll(text, NULL, base);
	return errno == 0 ? json_integer(value) : NULL;
}

json_t *yaml_scalar_plain(const char *text)
{
	static const char *const nulls[] = {"null", "Null", "NULL"};
	static const char *const trues[] = {"true", "True", "TRUE"};
	static const char *const falses[] = {"false", "False", "FALSE"};
	int base = radix(text);

	if (*text == '\0' || strcmp(text, "~") == 0 || is_one_of(text, nulls))
		return json_null();
	if (is_one_of(text, trues))
		return json_true();
	if (is_one_of(text, falses))
		return json_false();
	if (base != 0)
		return integer(text + 2, base);
	if (is_integer(text))
		return integer(text, 10);
	if (is_real(text)) {
		double value = strtod(text, NULL);

		return isfinite(value) ? json_real(value) : NULL;
	}
	return json_string(text);
}
