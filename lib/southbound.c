/* SPDX-License-Identifier: Apache-2.0 */
#include "southbound.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct sb_kind *sb_kind_find(const char *name)
{
	for (size_t i = 0; i < sb_kind_count; i++)
		if (strcmp(sb_kinds[i].name, name) == 0)
			return &sb_kinds[i];
	return NULL;
}

static int reject(char *reason, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int reject(char *reason, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool is_address(const char *text)
{
	unsigned char buf[16];

	return text != NULL &&
	       (inet_pton(AF_INET, text, buf) == 1 || inet_pton(AF_INET6, text, buf) == 1);
}

static bool is_prefix(const char *text, bool bare_allowed)
{
	char addr[INET6_ADDRSTRLEN];
	const char *slash = text != NULL ? strchr(text, '/') : NULL;
	char *end;
	long len;

	if (slash == NULL)
		return bare_allowed && is_address(text);
	if (slash == text || (size_t)(slash - text) >= sizeof(addr) || slash[1] < '0' ||
		slash[1] > '9')
		return false;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	len = strtol(slash + 1, &end, 10);
	return is_address(addr) && *end == '\0' && len <= (strchr(addr, ':') != NULL ? 128 : 32);
}

static bool is_mac(const char *text)
{
	static const char hex[] = "0123456789abcdefABCDEF";

	if (text == NULL || strlen(text) != 17)
		return false;
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? text[i] != ':' : strchr(hex, text[i]) == NULL)
			return false;
	return true;
}

static bool is_uint(const json_t *v, json_int_t max)
{
	return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= max;
}

static bool is_rule(const json_t *r)
{
	struct sb_rule rule;

	return sb_rule_parse(json_string_value(r), &rule) &&
	       (rule.remote != SB_REMOTE_CIDR || is_prefix(rule.name, false));
}

static bool scalar_ok(const json_t *v, enum sb_type type)
{
	switch (type) {
	case SB_STRING:
	case SB_STRINGS:
		return json_is_string(v) && json_string_length(v) < 256;
	case SB_TEXT:
		return json_is_string(v);
	case SB_UINT:
	case SB_UINTS:
		return is_uint(v, INT64_MAX);
	case SB_BOOL:
		return json_is_boolean(v);
	case SB_ADDRESS:
	case SB_ADDRESSES:
		return is_address(json_string_value(v));
	case SB_PREFIX:
		return is_prefix(json_string_value(v), false);
	case SB_PREFIXES:
		return is_prefix(json_string_value(v), true);
	case SB_MAC:
		return is_mac(json_string_value(v));
	case SB_OBJECT:
		return json_is_object(v);
	case SB_RULES:
		return is_rule(v);
	}
	return false;
}

static bool is_list(enum sb_type type)
{
	return type == SB_STRINGS || type == SB_ADDRESSES || type == SB_PREFIXES ||
	       type == SB_UINTS || type == SB_RULES;
}

static bool value_ok(const json_t *v, const struct sb_column *c)
{
	const json_t *entry;
	size_t i;

	if (json_is_null(v))
		return c->nullable;
	if (!is_list(c->type))
		return scalar_ok(v, c->type);
	if (!json_is_array(v))
		return false;
	json_array_foreach (v, i, entry)
		if (!scalar_ok(entry, c->type))
			return false;
	return true;
}

int sb_item_check(const json_t *item, bool key_only, char *reason, size_t size)
{
	const char *kind_name = json_string_value(json_array_get(item, 0));
	const struct sb_kind *kind = kind_name != NULL ? sb_kind_find(kind_name) : NULL;
	unsigned int want;

	if (kind == NULL)
		return reject(reason, size, "an item is an array that begins with a known kind");
	want = key_only ? kind->n_key : kind->n_columns;
	if (json_array_size(item) != want + 1)
		return reject(reason, size, "%s has %zu columns instead of %u", kind->name,
			json_array_size(item) - 1, want);
	for (unsigned int i = 0; i < want; i++)
		if (!value_ok(json_array_get(item, i + 1), &kind->columns[i]))
			return reject(reason, size, "%s: bad value in column `%s`", kind->name,
				kind->columns[i].name);
	return 0;
}

/* Decimal digits of n, written backwards to end; returns their beginning. */
static char *digits_of(uint64_t n, char *end)
{
	do
		*--end = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	return end;
}

struct writer {
	char *at, *end;
};

static bool write_bytes(struct writer *w, const char *bytes, size_t len)
{
	if ((size_t)(w->end - w->at) < len)
		return false;
	memcpy(w->at, bytes, len);
	w->at += len;
	return true;
}

/* False for a string that needs escapes: not ours to write. */
static bool write_string(struct writer *w, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == '"' || text[i] == '\\')
			return false;
	return write_bytes(w, "\"", 1) && write_bytes(w, text, len) && write_bytes(w, "\"", 1);
}

/* False: no room, or something that json_dumpb() has to write. */
static bool write_value(struct writer *w, const json_t *v)
{
	char digits[24], *end = digits + sizeof(digits), *p;

	switch (json_typeof(v)) {
	case JSON_STRING:
		return write_string(w, json_string_value(v), json_string_length(v));
	case JSON_INTEGER:
		if (json_integer_value(v) < 0)
			return false;
		p = digits_of((uint64_t)json_integer_value(v), end);
		return write_bytes(w, p, (size_t)(end - p));
	case JSON_TRUE:
		return write_bytes(w, "true", 4);
	case JSON_FALSE:
		return write_bytes(w, "false", 5);
	case JSON_NULL:
		return write_bytes(w, "null", 4);
	case JSON_ARRAY:
		for (size_t i = 0; i < json_array_size(v); i++)
			if (!write_bytes(w, i == 0 ? "[" : ",", 1) ||
				!write_value(w, json_array_get(v, i)))
				return false;
		return write_bytes(
			w, json_array_size(v) == 0 ? "[]" : "]", json_array_size(v) == 0 ? 2 : 1);
	default:
		return false;
	}
}

size_t sb_item_text(const json_t *item, char *buf, size_t size)
{
	struct writer w = {buf, buf + size};

	return write_value(&w, item) ? (size_t)(w.at - buf)
				     : json_dumpb(item, buf, size, SB_CANONICAL);
}

/* Appends the separator and a key's value; the new length, or 0 when there is no room. */
static size_t append_value(const json_t *v, char *buf, size_t used, size_t size)
{
	char digits[24], *end = digits + sizeof(digits);
	const char *text = json_string_value(v);
	size_t len;

	if (text == NULL) {
		text = digits_of((uint64_t)json_integer_value(v), end);
		len = (size_t)(end - text);
	} else {
		len = json_string_length(v);
	}
	if (used + len + 2 > size)
		return 0;
	buf[used] = '\x1f';
	memcpy(buf + used + 1, text, len);
	buf[used + 1 + len] = '\0';
	return used + 1 + len;
}

size_t sb_ref_key_write(const char *kind, const json_t *value, char *buf, size_t size)
{
	size_t len = strlen(kind);

	if (len >= size)
		return 0;
	memcpy(buf, kind, len);
	return append_value(value, buf, len, size);
}

size_t sb_item_key_write(const json_t *item, char *buf, size_t size)
{
	const char *kind_name = json_string_value(json_array_get(item, 0));
	const struct sb_kind *kind = kind_name != NULL ? sb_kind_find(kind_name) : NULL;
	size_t used;

	if (kind == NULL || (used = strlen(kind_name)) >= size)
		return 0;
	memcpy(buf, kind_name, used);
	for (unsigned int i = 0; i < kind->n_key && used != 0; i++)
		used = append_value(json_array_get(item, i + 1), buf, used, size);
	return used;
}

char *sb_item_key(const json_t *item)
{
	char buf[SB_KEY_MAX];

	return sb_item_key_write(item, buf, sizeof(buf)) != 0 ? strdup(buf) : NULL;
}

#define FNV_BASIS 0xcbf29ce484222325ull

/* FNV-1a with a finishing mix: not against attackers (both ends are ours), only against chance. */
static uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

static uint64_t hash_finish(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ull;
	return h ^ (h >> 33);
}

static int hash_sink(const char *buffer, size_t size, void *data)
{
	uint64_t *h = data;

	*h = hash_bytes(*h, buffer, size);
	return 0;
}

uint64_t sb_item_hash(const json_t *item)
{
	uint64_t h = FNV_BASIS;

	json_dump_callback(item, hash_sink, &h, SB_CANONICAL);
	return hash_finish(h);
}

uint64_t sb_text_hash(const char *text, size_t size)
{
	return hash_finish(hash_bytes(FNV_BASIS, text, size));
}

uint64_t sb_key_hash(const char *item_key, size_t size)
{
	return hash_finish(hash_bytes(FNV_BASIS, item_key, size));
}

unsigned int sb_bucket(const char *item_key)
{
	return (unsigned int)(sb_key_hash(item_key, strlen(item_key)) & (SB_BUCKETS - 1));
}
