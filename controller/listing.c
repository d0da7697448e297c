/* SPDX-License-Identifier: Apache-2.0 */
#include "listing.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

struct listing {
	const struct model *model;
	const struct kind *kind;
	const json_t *params;
	const char *after; /* NULL: from the first */
	/* Through references: those that may pass, sorted. */
	bool narrowed;
	const struct object **some;
	size_t count, room, next;
};

/* Filters that are no field of the kind. */
static bool passes_extra(const struct object *object, const json_t *params)
{
	const char *vpc = resource_text(params, "vpc");
	const struct object *subnet;

	if (vpc == NULL || field_find(object->kind->fields, "vpc") != NULL)
		return true;
	subnet = object_target(object, kind_find("subnet"));
	return subnet != NULL && strcmp(object_text(subnet, "vpc"), vpc) == 0;
}

static bool passes(const struct listing *l, const struct object *object)
{
	return resource_matches(l->kind, object->json, l->params) &&
	       passes_extra(object, l->params);
}

static int compare_names(const void *pa, const void *pb)
{
	const struct object *const *a = pa, *const *b = pb;

	return strcmp((*a)->name, (*b)->name);
}

/* The object that a filter wants referred to; *any: there is such a filter. */
static const struct object *target_of(const struct listing *l, bool *any)
{
	const struct field *field;

	FIELD_FOREACH(field, l->kind->fields)
	{
		const char *name = resource_text(l->params, field->name);

		if (field->type != FIELD_REF || name == NULL)
			continue;
		*any = true;
		return model_get(l->model, field->ref, name);
	}
	*any = false;
	return NULL;
}

static void gather(struct listing *l, const struct object *target)
{
	const struct object *last = NULL;

	REFERRERS_FOREACH(target, l->kind, ref)
	{
		/* One that mentions the target twice comes twice in a row. */
		if (ref->from == last ||
			(l->after != NULL && strcmp(ref->from->name, l->after) <= 0))
			continue;
		last = ref->from;
		if (!passes(l, last))
			continue;
		MEM_GROW(l->some, l->count, l->room);
		l->some[l->count++] = last;
	}
	if (l->count > 0)
		qsort(l->some, l->count, sizeof(*l->some), compare_names);
}

struct listing *listing_new(
	const struct model *model, const struct kind *kind, const json_t *params)
{
	struct listing *l = mem_calloc(1, sizeof(*l));
	const struct object *target;

	*l = (struct listing){.model = model,
		.kind = kind,
		.params = params,
		.after = resource_text(params, "cursor")};
	target = target_of(l, &l->narrowed);
	if (target != NULL)
		gather(l, target);
	return l;
}

const struct object *listing_next(struct listing *l)
{
	const struct object *object;

	if (l->narrowed)
		return l->next < l->count ? l->some[l->next++] : NULL;
	do {
		object = model_after(l->model, l->kind, l->after);
		if (object != NULL)
			l->after = object->name;
	} while (object != NULL && !passes(l, object));
	return object;
}

void listing_free(struct listing *l)
{
	free(l->some);
	free(l);
}
