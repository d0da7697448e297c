/* SPDX-License-Identifier: Apache-2.0 */
#include "rule_parts.h"

#include "lib/southbound.h"
#include "mem.h"
#include "rules.h"

#include <stdlib.h>
#include <string.h>

/* Parts begin with room for rules between theirs, and with numbers between theirs. */
#define PART_FILL (SB_PART_RULES * 3 / 4)
#define NUMBER_STEP 1024

/* Where the old list and the new one differ, and the parts that this concerns: [left, right). */
struct cut {
	const struct rule_parts *old;
	const char *group;
	json_t *rules; /* the new list */
	rule_text_fn text;
	size_t left, right;
	size_t from, to; /* rules of the new list that are cut anew */
	size_t count;    /* parts they make */
};

static size_t common_prefix(const json_t *a, const json_t *b, size_t most)
{
	size_t n = 0;

	/* Rules that were not touched are the same objects, which json_equal() sees at once. */
	while (n < most && json_equal(json_array_get(a, n), json_array_get(b, n)))
		n++;
	return n;
}

static size_t common_suffix(const json_t *a, const json_t *b, size_t most)
{
	size_t n = 0, end_a = json_array_size(a), end_b = json_array_size(b);

	while (n < most &&
		json_equal(json_array_get(a, end_a - 1 - n), json_array_get(b, end_b - 1 - n)))
		n++;
	return n;
}

static size_t parts_for(size_t rules)
{
	return rules <= SB_PART_RULES ? rules != 0 : (rules + PART_FILL - 1) / PART_FILL;
}

/* Rules that came between two parts, or behind the last one: a part with room takes them. */
static void absorb(struct cut *cut)
{
	const struct rule_part *parts = cut->old->parts;
	size_t count = cut->to - cut->from;

	if (cut->left != cut->right || count == 0)
		return;
	if (cut->left > 0 && parts[cut->left - 1].count + count <= SB_PART_RULES)
		cut->from -= parts[--cut->left].count;
	else if (cut->right < cut->old->count && parts[cut->right].count + count <= SB_PART_RULES)
		cut->to += parts[cut->right++].count;
}

static void find_difference(struct cut *cut)
{
	const struct rule_parts *old = cut->old;
	size_t n_old = json_array_size(old->rules), n_new = json_array_size(cut->rules);
	size_t most = n_old < n_new ? n_old : n_new;
	size_t prefix = common_prefix(old->rules, cut->rules, most);
	size_t suffix = common_suffix(old->rules, cut->rules, most - prefix), behind = 0;

	cut->left = cut->from = 0;
	while (cut->left < old->count && cut->from + old->parts[cut->left].count <= prefix)
		cut->from += old->parts[cut->left++].count;
	cut->right = old->count;
	while (cut->right > cut->left && behind + old->parts[cut->right - 1].count <= suffix)
		behind += old->parts[--cut->right].count;
	cut->to = n_new - behind;
	absorb(cut);
	cut->count = parts_for(cut->to - cut->from);
}

/* All of it, with new numbers. */
static void cut_whole(struct cut *cut)
{
	cut->left = 0;
	cut->right = cut->old->count;
	cut->from = 0;
	cut->to = json_array_size(cut->rules);
	cut->count = parts_for(cut->to);
}

/* The numbers of those that go are used again, the further ones lie between the last of them and the next part.
 * False when there are not enough. */
static bool choose_numbers(const struct cut *cut, json_int_t *numbers)
{
	const struct rule_part *parts = cut->old->parts;
	size_t gone = cut->right - cut->left, more = cut->count > gone ? cut->count - gone : 0;
	json_int_t low = cut->right > 0 ? parts[cut->right - 1].number : 0, step = NUMBER_STEP;

	for (size_t i = 0; i < cut->count && i < gone; i++)
		numbers[i] = parts[cut->left + i].number;
	if (cut->right < cut->old->count)
		step = (parts[cut->right].number - low) / (json_int_t)(more + 1);
	for (size_t i = 0; i < more; i++)
		numbers[gone + i] = low + step * (json_int_t)(i + 1);
	return more == 0 || step > 0;
}

static json_t *part_item(const struct cut *cut, json_int_t number, size_t from, size_t count)
{
	json_t *texts = mem_json(json_array());

	for (size_t i = from; i < from + count; i++)
		json_array_append_new(texts, cut->text(json_array_get(cut->rules, i)));
	return mem_json(json_pack("[s, s, I, o]", "rules", cut->group, number, texts));
}

static void make_parts(const struct cut *cut, const json_int_t *numbers, struct rule_part *parts)
{
	size_t rules = cut->to - cut->from, at = cut->from;

	for (size_t i = 0; i < cut->count; i++) {
		size_t count = rules / cut->count + (i < rules % cut->count);

		parts[i] = (struct rule_part){.number = numbers[i],
			.count = count,
			.item = part_item(cut, numbers[i], at, count)};
		at += count;
	}
}

static void copy_parts(struct rule_part *to, const struct rule_part *from, size_t count)
{
	if (count != 0)
		memcpy(to, from, count * sizeof(*to));
}

static void update(struct rule_parts *cache, struct cut *cut)
{
	size_t most = json_array_size(cut->rules) / PART_FILL + 1, kept, total;
	json_int_t *numbers;
	struct rule_part *parts;

	find_difference(cut);
	numbers = mem_calloc(cut->count + most + 1, sizeof(*numbers));
	kept = cache->count - (cut->right - cut->left);
	/* Many rules that came and went leave small parts. */
	if (!choose_numbers(cut, numbers) || kept + cut->count > 2 * most + 8) {
		cut_whole(cut);
		kept = 0;
		for (size_t i = 0; i < cut->count; i++)
			numbers[i] = NUMBER_STEP * (json_int_t)(i + 1);
	}
	total = kept + cut->count;
	parts = mem_calloc(total + 1, sizeof(*parts));
	copy_parts(parts, cache->parts, cut->left);
	make_parts(cut, numbers, parts + cut->left);
	copy_parts(parts + cut->left + cut->count, cache->parts + cut->right,
		cache->count - cut->right);
	for (size_t i = cut->left; i < cut->right; i++)
		json_decref(cache->parts[i].item);
	free(numbers);
	free(cache->parts);
	json_decref(cache->rules);
	*cache = (struct rule_parts){json_incref(cut->rules), parts, total};
}

const struct rule_parts *rule_parts_of(const struct object *group, rule_text_fn text)
{
	struct rule_parts *cache = group->state;
	struct cut cut = {.old = cache,
		.group = group->name,
		.rules = json_object_get(group->json, "rules"),
		.text = text};

	/* A list is replaced, never changed; ours is kept, so no other one has its address. */
	if (cache->rules != cut.rules)
		update(cache, &cut);
	return cache;
}

static void parts_fini(struct object *group)
{
	struct rule_parts *cache = group->state;

	for (size_t i = 0; i < cache->count; i++)
		json_decref(cache->parts[i].item);
	free(cache->parts);
	json_decref(cache->rules);
}

const struct kind_rules rules_security_group = {
	.kind = "security_group", .state_size = sizeof(struct rule_parts), .fini = parts_fini};
