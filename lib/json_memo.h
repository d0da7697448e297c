// SPDX-License-Identifier: Apache-2.0
/*
 * What is asked of the same JSON values again and again, found out once: their hash, their text, and
 * whether they name other objects. Made for the items of long lists that are replaced by lists that differ in one of
 * them: a rule of 10,000 costs one look-up instead of a walk through its members.
 *
 * A value that is remembered must never change, and is held; it is let go of some time after everybody
 * else has. One table a process, for one thread. Out of memory ends the program.
 */
#ifndef LIB_JSON_MEMO_H
#define LIB_JSON_MEMO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A list is long, and worth it, from here on. */
#define JSON_MEMO_LONG 256

struct json_memo {
	json_t *value; /* NULL: a free place */
	uint64_t hash;
	char *text; /* compact; NULL: not asked for yet */
	uint32_t text_len;
	bool names_nobody; /* resource_refs() found no reference in it */
};

/* Remembers the items of a long list of objects; nothing for any other value. */
void json_memo_list(const json_t *list);

/* The same for each list that is a member of the object. */
void json_memo_lists(const json_t *object);

/* NULL when it is not remembered. Valid until the next json_memo_list(). */
struct json_memo *json_memo_find(const json_t *value);
/* Its text, made when it is asked for first; NULL for what has none (text that is no UTF-8). */
const char *json_memo_text(struct json_memo *memo);

/* Equal values (json_equal) have equal hashes. */
uint64_t json_memo_hash(const json_t *value);

size_t json_memo_count(void);
/* Forgets everything. */
void json_memo_clear(void);

#endif
