// SPDX-License-Identifier: Apache-2.0
/*
 * A run of bytes that grows, and its form in JSON (base64, RFC 4648 section 4). One owner at a time; no locks.
 *
 * Running out of memory is remembered in `failed`: whoever appends many small things asks once, at the end. What was
 * appended after the failure is missing.
 */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes { /* all zero: empty */
	uint8_t *data;
	size_t length, size;
	bool failed;
};

/* Room for `length` more bytes, which count at once and are the caller's to fill; NULL with `failed` set. */
void *bytes_extend(struct bytes *bytes, size_t length);
void bytes_append(struct bytes *bytes, const void *data, size_t length);
/* Forgets the content and the failure, keeps the memory. */
void bytes_clear(struct bytes *bytes);
void bytes_free(struct bytes *bytes);

/* Terminated text, for the caller to free; NULL when out of memory. */
char *base64_text(const void *data, size_t length);
/* Appends what the text stands for. False, and nothing appended, when it is no base64: padding is required, white space and
 * anything after the padding are refused. */
bool base64_append(struct bytes *bytes, const char *text, size_t length);

#endif
