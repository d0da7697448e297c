// SPDX-License-Identifier: Apache-2.0
#include "lib/json_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json_memo.h"

/* How far down a long list is looked for: message, result, items, object, field. */
#define LEVELS 5
#define FIRST_ROOM 1024
/* Of a number with a fraction. 15 digits show what was meant: 58.904 for the double that is nearest to it. Another's
 * number goes back to the last bit. */
#define DIGITS_OWN 15
#define DIGITS_EXACT 17

struct out {
	char *data;
	size_t len, room, spare, digits;
	bool failed;
};

static int append(const char *text, size_t len, void *arg)
{
	struct out *out = arg;
	size_t room = out->room ? out->room : FIRST_ROOM;
	char *data;

	while (room - out->len < len + out->spare + 1)
		room *= 2;
	if (room != out->room) {
		data = realloc(out->data, room);
		if (!data) {
			out->failed = true;
			return -1;
		}
		out->data = data;
		out->room = room;
	}
	memcpy(out->data + out->len, text, len);
	out->len += len;
	return 0;
}

static void append_char(struct out *out, char c)
{
	append(&c, 1, out);
}

static void append_plain(struct out *out, const json_t *value)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(out->digits);

	if (json_dump_callback(value, append, out, flags) < 0)
		out->failed = true;
}

static void append_item(struct out *out, const json_t *item)
{
	struct json_memo *memo = json_memo_find(item);
	const char *text = memo ? json_memo_text(memo) : NULL;

	if (text)
		append(text, memo->text_len, out);
	else
		append_plain(out, item);
}

static void append_items(struct out *out, const json_t *list, size_t first, size_t end)
{
	append_char(out, '[');
	for (size_t i = first; i < end && !out->failed; i++) {
		if (i != first)
			append_char(out, ',');
		append_item(out, json_array_get(list, i));
	}
	append_char(out, ']');
}

/* Is it a long list of remembered values? Other lists are not looked through: most are of ports or addresses. */
static bool is_known_list(const json_t *value)
{
	return json_array_size(value) >= JSON_MEMO_LONG &&
	       json_memo_find(json_array_get(value, 0)) != NULL;
}

static bool has_known_list(const json_t *value, unsigned levels)
{
	const char *key;
	json_t *member;
	size_t index;

	if (is_known_list(value))
		return true;
	if (levels == 0)
		return false;
	if (json_array_size(value) < JSON_MEMO_LONG)
		json_array_foreach ((json_t *)value, index, member)
			if (has_known_list(member, levels - 1))
				return true;
	json_object_foreach ((json_t *)value, key, member)
		if (has_known_list(member, levels - 1))
			return true;
	return false;
}

static void append_value(struct out *out, const json_t *value, unsigned levels);

static void append_members(struct out *out, const json_t *object, unsigned levels)
{
	const char *key, *comma = "";
	json_t *member, *name;

	append_char(out, '{');
	json_object_foreach ((json_t *)object, key, member) {
		append(comma, strlen(comma), out);
		comma = ",";
		name = json_string(key);
		append_plain(out, name);
		json_decref(name);
		append_char(out, ':');
		append_value(out, member, levels);
	}
	append_char(out, '}');
}

static void append_value(struct out *out, const json_t *value, unsigned levels)
{
	size_t index;
	json_t *item;

	if (is_known_list(value)) {
		append_items(out, value, 0, json_array_size(value));
	} else if (levels == 0 || !has_known_list(value, levels)) {
		append_plain(out, value);
	} else if (json_is_object(value)) {
		append_members(out, value, levels - 1);
	} else {
		append_char(out, '[');
		json_array_foreach ((json_t *)value, index, item) {
			if (index > 0)
				append_char(out, ',');
			append_value(out, item, levels - 1);
		}
		append_char(out, ']');
	}
}

static char *finish(struct out *out, size_t *len)
{
	append("", 1, out);
	if (out->failed) {
		free(out->data);
		return NULL;
	}
	*len = out->len - 1;
	return out->data;
}

/* Does a peer recognize this message, or one of this batch, by a number with a fraction? */
static bool has_real_id(const json_t *message)
{
	size_t index;
	json_t *each;

	json_array_foreach ((json_t *)message, index, each)
		if (json_is_real(json_object_get(each, "id")))
			return true;
	return json_is_real(json_object_get(message, "id"));
}

char *json_text(const json_t *value, size_t spare, size_t *len)
{
	struct out out = {.spare = spare, .digits = has_real_id(value) ? DIGITS_EXACT : DIGITS_OWN};

	if (!value)
		return NULL;
	if (json_memo_count() > 0)
		append_value(&out, value, LEVELS);
	else
		append_plain(&out, value);
	return finish(&out, len);
}

char *json_text_slice(const json_t *list, size_t first, size_t count, size_t *len)
{
	struct out out = {.digits = DIGITS_OWN};

	append_items(&out, list, first, first + count);
	return finish(&out, len);
}
