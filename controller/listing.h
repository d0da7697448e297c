/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_LISTING_H
#define CONTROLLER_LISTING_H
/*
 * The objects of a kind that pass a list call's filters, in order of names, behind params.cursor. A filter by
 * a reference (ports of a node) looks only at the objects that refer there.
 */
#include "model.h"

struct listing;

/* The model must not change until listing_free(). */
struct listing *listing_new(
	const struct model *model, const struct kind *kind, const json_t *params);
/* NULL at the end. */
const struct object *listing_next(struct listing *listing);
void listing_free(struct listing *listing);

#endif
