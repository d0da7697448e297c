/* SPDX-License-Identifier: Apache-2.0 */
#include "rule_parts.h"

#include "lib/southbound.h"
#include "mem.h"
#include "rules.h"

struct making {
	const char *group;
	rule_text_fn text;
};

static void drop_item(const struct list_part *part, bool replaced, void *arg)
{
	(void)replaced;
	(void)arg;
	json_decref(part->data);
}

static void make_item(struct list_part *part, const json_t *rules, size_t first, void *arg)
{
	const struct making *making = arg;
	json_t *texts = mem_json(json_array());

	for (size_t i = first; i < first + part->count; i++)
		json_array_append_new(texts, making->text(json_array_get(rules, i)));
	part->data =
		mem_json(json_pack("[s, s, I, o]", "rules", making->group, part->number, texts));
}

const struct list_cut *rule_parts_of(const struct object *group, rule_text_fn text)
{
	struct making making = {.group = group->name, .text = text};
	const struct list_cut_owner owner = {
		.part_max = SB_PART_RULES, .gone = drop_item, .made = make_item, .arg = &making};
	json_t *rules = json_object_get(group->json, "rules");
	struct list_cut *cut = group->state;

	/* Ours is kept, so no other list has its address. */
	if (cut->list != rules)
		list_cut_update(cut, rules, &owner);
	return cut;
}

static void parts_fini(struct object *group)
{
	struct list_cut *cut = group->state;

	for (size_t i = 0; i < cut->count; i++)
		json_decref(cut->parts[i].data);
	list_cut_fini(cut);
}

const struct kind_rules rules_security_group = {
	.kind = "security_group", .state_size = sizeof(struct list_cut), .fini = parts_fini};
