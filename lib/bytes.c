// SPDX-License-Identifier: Apache-2.0
#include "lib/bytes.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 4096

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool grow(struct bytes *bytes, size_t needed)
{
	size_t size = bytes->size ? bytes->size : FIRST_SIZE;
	uint8_t *data;

	while (size < needed)
		size *= 2;
	data = realloc(bytes->data, size);
	if (!data)
		return false;
	bytes->data = data;
	bytes->size = size;
	return true;
}

void *bytes_extend(struct bytes *bytes, size_t length)
{
	void *room;

	if (bytes->failed || length > SIZE_MAX / 4 - bytes->length ||
		(bytes->length + length > bytes->size && !grow(bytes, bytes->length + length))) {
		bytes->failed = true;
		return NULL;
	}
	room = bytes->data + bytes->length;
	bytes->length += length;
	return room;
}

void bytes_append(struct bytes *bytes, const void *data, size_t length)
{
	void *room;

	if (length == 0)
		return;
	room = bytes_extend(bytes, length);
	if (room)
		memcpy(room, data, length);
}

void bytes_clear(struct bytes *bytes)
{
	bytes->length = 0;
	bytes->failed = false;
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){0};
}

char *base64_text(const void *data, size_t length)
{
	const uint8_t *in = data;
	char *text = malloc((length + 2) / 3 * 4 + 1), *out = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < length; i += 3) {
		uint32_t three = (uint32_t)in[i] << 16;
		size_t left = length - i;

		if (left > 1)
			three |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			three |= in[i + 2];
		*out++ = digits[three >> 18];
		*out++ = digits[three >> 12 & 63];
		*out++ = left > 1 ? digits[three >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[three & 63] : '=';
	}
	*out = '\0';
	return text;
}

/* 0 to 63, or -1. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits, the last `padding` of them being '='. The bits that they leave over are zero. */
static bool decode_four(const char *text, size_t padding, uint8_t *three)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - padding ? value_of(text[i]) : 0;

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
	}
	three[0] = (uint8_t)(bits >> 16);
	three[1] = (uint8_t)(bits >> 8);
	three[2] = (uint8_t)bits;
	return (bits & ((1u << padding * 8) - 1)) == 0;
}

bool base64_append(struct bytes *bytes, const char *text, size_t length)
{
	size_t start = bytes->length, padding = 0;

	if (length % 4 != 0 || bytes->failed)
		return false;
	if (length > 0 && text[length - 1] == '=')
		padding = text[length - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < length; i += 4) {
		size_t missing = i + 4 == length ? padding : 0;
		uint8_t three[3];

		if (!decode_four(text + i, missing, three)) {
			bytes->length = start;
			return false;
		}
		bytes_append(bytes, three, 3 - missing);
	}
	return !bytes->failed;
}
