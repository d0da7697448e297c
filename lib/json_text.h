// SPDX-License-Identifier: Apache-2.0
/*
 * JSON to compact text, where lists are long and stay nearly the same: what json_memo.h remembers is copied
 * instead of being written anew.
 */
#ifndef LIB_JSON_TEXT_H
#define LIB_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

/* As json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY), but 0.3 is no 0.29999999999999999 (except beside a JSON-RPC id
 * with a fraction, which comes back to the last bit); with `spare` bytes of room behind the text's end. malloc'd;
 * NULL when out of memory, or for what has no text. */
char *json_text(const json_t *value, size_t spare, size_t *len);

/* Items first … first + count - 1 of a list, as a list. */
char *json_text_slice(const json_t *list, size_t first, size_t count, size_t *len);

#endif
