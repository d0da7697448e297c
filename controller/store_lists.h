/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_STORE_LISTS_H
#define CONTROLLER_STORE_LISTS_H
/*
 * Long lists of objects (a security group's rules, a prefix list's CIDRs) in rows of their own: table list_parts. An
 * object's own row has an empty list in their place. What is on the disk is known in memory, part by
 * part (list_cut.h), so that a changed item costs one row of a few kilobytes. Rows are written in the
 * transaction of the object's row: both are there or neither.
 */
#include "store_internal.h"

/* Writes what has changed of the object's long lists. Returns the object as its own row has it: new reference. */
json_t *store_lists_put(
	struct store *store, const char *kind, const char *name, const json_t *object);
void store_lists_delete(struct store *store, const char *kind, const char *name);
/* The transaction was rolled back: what is known is not what is there. */
void store_lists_forget(struct store *store);

/* Goes through all parts beside the objects, in the order of kind and name. NULL: logged. */
struct store_lists_reader;
struct store_lists_reader *store_lists_reader_new(struct store *store);
/* Puts the object's long lists back into it. 0, or -EINVAL when they are damaged, or -EIO; logged. */
int store_lists_read(
	struct store_lists_reader *reader, const char *kind, const char *name, json_t *object);
/* Behind the last object: -EINVAL, logged, when there are parts of no object. */
int store_lists_read_end(const struct store_lists_reader *reader);
void store_lists_reader_free(struct store_lists_reader *reader);

#endif
