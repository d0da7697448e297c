/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include "lib/json_memo.h"
#include "mem.h"
#include "rules.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *key, const struct tree_node *node)
{
	return strcmp(key, TREE_ENTRY(node, struct object, order)->name);
}

void model_init(struct model *model)
{
	*model = (struct model){.vni_first = 10000, .vni_last = 16777215};
	model->tables = mem_calloc(kind_count(), sizeof(*model->tables));
	for (size_t i = 0; i < kind_count(); i++)
		model->tables[i].by_name.compare = compare_names;
	range_set_init(&model->vnis);
	range_set_init(&model->pools4);
	range_set_init(&model->pools6);
	range_set_init(&model->eips4);
	range_set_init(&model->eips6);
}

void model_fini(struct model *model)
{
	for (size_t i = kind_count(); i-- > 0;) {
		strmap_fini(&model->tables[i].index);
		for (struct tree_node *n; (n = tree_first(&model->tables[i].by_name)) != NULL;) {
			tree_remove(&model->tables[i].by_name, OBJECT(n)->name);
			object_free(OBJECT(n));
		}
	}
	STRMAP_FOREACH(&model->tenants, slot)
	{
		struct tenant_use *use = slot->value;

		free(use->objects);
		free(use->name);
		free(use);
	}
	strmap_fini(&model->tenants);
	strmap_fini(&model->rpcs);
	strmap_fini(&model->vteps);
	range_set_fini(&model->vnis);
	range_set_fini(&model->pools4);
	range_set_fini(&model->pools6);
	range_set_fini(&model->eips4);
	range_set_fini(&model->eips6);
	strmap_fini(&model->eips);
	strmap_fini(&model->external_routes);
	free(model->tables);
}

struct object *model_find(const struct model *model, const struct kind *kind, const char *name)
{
	return name != NULL ? strmap_get(&model->tables[kind_index(kind)].index, name) : NULL;
}

struct object *model_get(const struct model *model, const char *kind, const char *name)
{
	return model_find(model, kind_find(kind), name);
}

size_t model_count(const struct model *model, const struct kind *kind)
{
	return model->tables[kind_index(kind)].by_name.count;
}

struct object *model_after(const struct model *model, const struct kind *kind, const char *name)
{
	const struct tree *tree = &model->tables[kind_index(kind)].by_name;

	return OBJECT(name != NULL ? tree_after(tree, name) : tree_first(tree));
}

struct object *object_new(const struct kind *kind, json_t *json)
{
	const struct kind_rules *rules = rules_of(kind);
	struct object *object = mem_calloc(1, sizeof(*object));

	object->kind = kind;
	object->kind_index = kind_index(kind);
	object->name = mem_strdup(resource_text(json, "name"));
	object->json = json;
	if (rules->state_size != 0)
		object->state = mem_calloc(1, rules->state_size);
	if (rules->init != NULL)
		rules->init(object);
	return object;
}

void object_free(struct object *object)
{
	if (object == NULL)
		return;
	if (rules_of(object->kind)->fini != NULL)
		rules_of(object->kind)->fini(object);
	free(object->state);
	json_decref(object->json);
	free(object->name);
	free(object->refs);
	free(object->referrers);
	free(object);
}

void model_insert(struct model *model, struct object *object)
{
	struct object_table *table = &model->tables[object->kind_index];

	tree_insert(&table->by_name, object->name, &object->order);
	strmap_put(&table->index, object->name, object);
	object->present = true;
}

void model_remove(struct model *model, struct object *object)
{
	struct object_table *table = &model->tables[object->kind_index];

	tree_remove(&table->by_name, object->name);
	strmap_take(&table->index, object->name);
	object->present = false;
}

const char *object_text(const struct object *object, const char *field)
{
	return resource_text(object->json, field);
}

const char *object_tenant(const struct object *object)
{
	const char *tenant = resource_text(object->json, "tenant");

	return tenant != NULL ? tenant : RESOURCE_TENANT_DEFAULT;
}

uint64_t object_revision(const struct object *object)
{
	return (uint64_t)resource_integer(object->json, "revision", 0);
}

struct linking {
	struct model *model;
	struct object *object;
	struct resource_error *error;
	struct object_ref *refs;
	size_t count, room;
};

static bool link_one(const struct resource_ref *ref, void *arg)
{
	struct linking *l = arg;
	struct object *to = model_find(l->model, ref->kind, ref->name);

	if (to == NULL)
		return resource_fail_code(l->error, ERROR_NOT_FOUND, ref->path,
			"there is no %s `%s`", ref->kind->name, ref->name);
	if (!ref->any_tenant && strcmp(object_tenant(to), object_tenant(l->object)) != 0)
		return resource_fail_code(l->error, ERROR_DENIED, ref->path,
			"%s `%s` belongs to tenant `%s`, this %s to `%s`", ref->kind->name,
			ref->name, object_tenant(to), l->object->kind->name,
			object_tenant(l->object));
	MEM_GROW(l->refs, l->count, l->room);
	l->refs[l->count++] = (struct object_ref){.from = l->object, .to = to};
	return true;
}

static void hook_up(struct object_ref *ref)
{
	struct object_ref **head;

	if (ref->to->referrers == NULL)
		ref->to->referrers = mem_calloc(kind_count(), sizeof(*ref->to->referrers));
	head = &ref->to->referrers[ref->from->kind_index];
	ref->next = *head;
	ref->link = head;
	if (ref->next != NULL)
		ref->next->link = &ref->next;
	*head = ref;
}

bool object_link(struct model *model, struct object *object, struct resource_error *error)
{
	struct linking l = {.model = model, .object = object, .error = error};

	/* Before the walk: the next one leaves out what this one finds nothing in. */
	json_memo_lists(object->json);
	if (!resource_refs(object->kind, object->json, link_one, &l)) {
		free(l.refs);
		return false;
	}
	object->refs = l.refs;
	object->ref_count = l.count;
	for (size_t i = 0; i < l.count; i++)
		hook_up(&object->refs[i]);
	return true;
}

void object_unlink(struct object *object)
{
	for (size_t i = 0; i < object->ref_count; i++) {
		struct object_ref *ref = &object->refs[i];

		*ref->link = ref->next;
		if (ref->next != NULL)
			ref->next->link = ref->link;
	}
	free(object->refs);
	object->refs = NULL;
	object->ref_count = 0;
}

bool object_is_referred(const struct object *object)
{
	for (size_t i = 0; object->referrers != NULL && i < kind_count(); i++)
		for (const struct object_ref *r = object->referrers[i]; r != NULL; r = r->next)
			if (r->from != object)
				return true;
	return false;
}

json_t *object_referrers(const struct object *object, size_t limit)
{
	json_t *list = mem_json(json_array());

	for (size_t i = 0; object->referrers != NULL && i < kind_count(); i++) {
		const struct object *last = NULL;

		for (const struct object_ref *r = object->referrers[i];
			r != NULL && json_array_size(list) < limit; r = r->next) {
			if (r->from == object || r->from == last)
				continue;
			last = r->from;
			json_array_append_new(list, json_pack("{s:s, s:s}", "kind",
							    last->kind->name, "name", last->name));
		}
	}
	return list;
}

struct object *object_target(const struct object *object, const struct kind *kind)
{
	for (size_t i = 0; i < object->ref_count; i++)
		if (object->refs[i].to->kind == kind)
			return object->refs[i].to;
	return NULL;
}

struct tenant_use *model_tenant(struct model *model, const char *name)
{
	struct tenant_use *use = strmap_get(&model->tenants, name);

	if (use == NULL) {
		use = mem_calloc(1, sizeof(*use));
		use->name = mem_strdup(name);
		use->objects = mem_calloc(kind_count(), sizeof(*use->objects));
		strmap_put(&model->tenants, use->name, use);
	}
	return use;
}
