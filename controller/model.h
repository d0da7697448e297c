/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_MODEL_H
#define CONTROLLER_MODEL_H
/*
 * The desired network in memory: objects by kind and name, and who refers to whom. What a kind
 * derives from its objects (addresses taken in a subnet) hangs on object->state and belongs to the
 * kind's rules (rules.h). Only transactions (txn.h) change the model.
 */
#include "lib/resource.h"
#include "ranges.h"
#include "strmap.h"
#include "tree.h"

struct object;

/* One mention of `to` in `from`. */
struct object_ref {
	struct object *from, *to;
	struct object_ref *next, **link; /* in to->referrers[kind of from] */
};

struct object {
	const struct kind *kind;
	size_t kind_index;
	char *name;
	json_t *json; /* whole: every field, revision, and what status must survive a restart */
	struct tree_node order; /* in its table, by name */
	struct object_ref *refs;
	size_t ref_count;
	struct object_ref **referrers; /* lists by kind of the referrer; NULL: never any */
	void *state;                   /* of the kind's rules */
	struct emission *emissions;    /* what nodes are told about it, emission.h */
	bool present;                  /* in the model */
	bool dirty;                    /* of the compiler: waits to be emitted again */
};

#define OBJECT(n) TREE_OBJECT(n, struct object, order)

struct object_table {
	struct tree by_name;
	struct strmap index;
};

/* Numbers that quotas and metrics ask for. */
struct tenant_use {
	char *name;
	size_t *objects; /* by kind */
	size_t rules;
};

struct model {
	struct object_table *tables; /* by kind */
	struct strmap tenants;       /* name → struct tenant_use */
	struct range_set vnis;
	struct range_set pools4, pools6; /* of EIP pools; rules_eip.c */
	struct range_set eips4, eips6;   /* addresses of EIPs */
	struct strmap eips;              /* address → the EIP that has it */
	struct strmap external_routes;   /* name → route to an outside network; rules_route.c */
	struct strmap rpcs, vteps;       /* text → the node that has it; rules_node.c */
	/* Nodes may have another's rpc or vtep: the configuration is read, and its word stands. */
	bool configuring;
	uint64_t vni_first, vni_last;
	uint64_t revision;     /* of the newest change, also when it is not stored yet */
	unsigned underlay_mtu; /* what a VPC's frame may be, encapsulation taken off; 0: unknown */
};

void model_init(struct model *model);
void model_fini(struct model *model);

struct object *model_find(const struct model *model, const struct kind *kind, const char *name);
/* By the name of the kind. */
struct object *model_get(const struct model *model, const char *kind, const char *name);
size_t model_count(const struct model *model, const struct kind *kind);
/* In order of names; NULL at the end. `name` need not exist; NULL: from the first. */
struct object *model_after(const struct model *model, const struct kind *kind, const char *name);
#define MODEL_FOREACH(model, kind, var)                                                            \
	for (struct object *var = model_after(model, kind, NULL); var != NULL;                     \
		var = model_after(model, kind, (var)->name))

/* A new object outside the model; takes json. */
struct object *object_new(const struct kind *kind, json_t *json);
void object_free(struct object *object);
void model_insert(struct model *model, struct object *object);
void model_remove(struct model *model, struct object *object);

/* A string field, or NULL. */
const char *object_text(const struct object *object, const char *field);
const char *object_tenant(const struct object *object);
uint64_t object_revision(const struct object *object);

/*
 * Makes the references of object->json. False with *error: not_found or denied, at the reference's
 * path; then none are made.
 */
bool object_link(struct model *model, struct object *object, struct resource_error *error);
void object_unlink(struct object *object);
bool object_is_referred(const struct object *object);
/* [{kind, name}], at most `limit`. */
json_t *object_referrers(const struct object *object, size_t limit);
/* The object a field refers to (the first one it mentions of that kind); NULL when none. */
struct object *object_target(const struct object *object, const struct kind *kind);

/* Referrers of one kind; one that mentions the target twice comes twice. */
#define REFERRERS_FOREACH(object, kind_, ref)                                                      \
	for (struct object_ref *ref = (object)->referrers != NULL                                  \
					      ? (object)->referrers[kind_index(kind_)]             \
					      : NULL;                                              \
		ref != NULL; ref = ref->next)

struct tenant_use *model_tenant(struct model *model, const char *name);

#endif
