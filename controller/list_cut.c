/* SPDX-License-Identifier: Apache-2.0 */
#include "list_cut.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

/* Parts begin with numbers between theirs, and with room for items (part_fill). */
#define NUMBER_STEP 1024

/* Where the old list and the new one differ, and the parts that this concerns: [left, right). */
struct change {
	const struct list_cut *old;
	const struct list_cut_owner *owner;
	json_t *list; /* the new one */
	size_t left, right;
	size_t from, to; /* items of the new list that are cut anew */
	size_t count;    /* parts they make */
};

static size_t part_fill(const struct change *ch)
{
	return ch->owner->part_max * 3 / 4;
}

static size_t common_prefix(const json_t *a, const json_t *b, size_t most)
{
	size_t n = 0;

	/* The same objects, which json_equal() sees at once. */
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

static size_t parts_for(const struct change *ch, size_t items)
{
	size_t fill = part_fill(ch);

	return items <= ch->owner->part_max ? items != 0 : (items + fill - 1) / fill;
}

/* Items that came between two parts, or behind the last one: a part with room takes them. */
static void absorb(struct change *ch)
{
	const struct list_part *parts = ch->old->parts;
	size_t count = ch->to - ch->from, max = ch->owner->part_max;

	if (ch->left != ch->right || count == 0)
		return;
	if (ch->left > 0 && parts[ch->left - 1].count + count <= max)
		ch->from -= parts[--ch->left].count;
	else if (ch->right < ch->old->count && parts[ch->right].count + count <= max)
		ch->to += parts[ch->right++].count;
}

static void find_difference(struct change *ch)
{
	const struct list_cut *old = ch->old;
	size_t n_old = json_array_size(old->list), n_new = json_array_size(ch->list);
	size_t most = n_old < n_new ? n_old : n_new;
	size_t prefix = common_prefix(old->list, ch->list, most);
	size_t suffix = common_suffix(old->list, ch->list, most - prefix), behind = 0;

	ch->left = ch->from = 0;
	while (ch->left < old->count && ch->from + old->parts[ch->left].count <= prefix)
		ch->from += old->parts[ch->left++].count;
	ch->right = old->count;
	while (ch->right > ch->left && behind + old->parts[ch->right - 1].count <= suffix)
		behind += old->parts[--ch->right].count;
	ch->to = n_new - behind;
	absorb(ch);
	ch->count = parts_for(ch, ch->to - ch->from);
}

/* All of it, with new numbers. */
static void cut_whole(struct change *ch)
{
	ch->left = 0;
	ch->right = ch->old->count;
	ch->from = 0;
	ch->to = json_array_size(ch->list);
	ch->count = parts_for(ch, ch->to);
}

/* The numbers of those that go are used again, the further ones lie between the last of them and the next part.
 * False when there are not enough. */
static bool choose_numbers(const struct change *ch, json_int_t *numbers)
{
	const struct list_part *parts = ch->old->parts;
	size_t gone = ch->right - ch->left, more = ch->count > gone ? ch->count - gone : 0;
	json_int_t low = ch->right > 0 ? parts[ch->right - 1].number : 0, step = NUMBER_STEP;

	for (size_t i = 0; i < ch->count && i < gone; i++)
		numbers[i] = parts[ch->left + i].number;
	if (ch->right < ch->old->count)
		step = (parts[ch->right].number - low) / (json_int_t)(more + 1);
	for (size_t i = 0; i < more; i++)
		numbers[gone + i] = low + step * (json_int_t)(i + 1);
	return more == 0 || step > 0;
}

static bool is_number_of_new(const struct change *ch, const json_int_t *numbers, json_int_t number)
{
	size_t low = 0, high = ch->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (numbers[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ch->count && numbers[low] == number;
}

static void let_go(const struct change *ch, const json_int_t *numbers)
{
	for (size_t i = ch->left; i < ch->right; i++) {
		const struct list_part *part = &ch->old->parts[i];

		ch->owner->gone(part, is_number_of_new(ch, numbers, part->number), ch->owner->arg);
	}
}

static void make_parts(const struct change *ch, const json_int_t *numbers, struct list_part *parts)
{
	size_t items = ch->to - ch->from, at = ch->from;

	for (size_t i = 0; i < ch->count; i++) {
		parts[i].number = numbers[i];
		parts[i].count = items / ch->count + (i < items % ch->count);
		ch->owner->made(&parts[i], ch->list, at, ch->owner->arg);
		at += parts[i].count;
	}
}

static void copy_parts(struct list_part *to, const struct list_part *from, size_t count)
{
	if (count != 0)
		memcpy(to, from, count * sizeof(*to));
}

void list_cut_update(struct list_cut *cut, json_t *list, const struct list_cut_owner *owner)
{
	struct change ch = {.old = cut, .owner = owner, .list = list};
	size_t most = json_array_size(list) / part_fill(&ch) + 1, kept, total;
	struct list_part *parts;
	json_int_t *numbers;

	find_difference(&ch);
	numbers = mem_calloc(ch.count + most + 1, sizeof(*numbers));
	kept = cut->count - (ch.right - ch.left);
	/* Many items that came and went leave small parts. */
	if (!choose_numbers(&ch, numbers) || kept + ch.count > 2 * most + 8) {
		cut_whole(&ch);
		kept = 0;
		for (size_t i = 0; i < ch.count; i++)
			numbers[i] = NUMBER_STEP * (json_int_t)(i + 1);
	}
	total = kept + ch.count;
	parts = mem_calloc(total + 1, sizeof(*parts));
	let_go(&ch, numbers);
	copy_parts(parts, cut->parts, ch.left);
	make_parts(&ch, numbers, parts + ch.left);
	copy_parts(parts + ch.left + ch.count, cut->parts + ch.right, cut->count - ch.right);
	free(numbers);
	free(cut->parts);
	json_incref(list);
	json_decref(cut->list);
	*cut = (struct list_cut){list, parts, total};
}

void list_cut_append(struct list_cut *cut, json_int_t number, size_t count)
{
	cut->parts = mem_realloc(cut->parts, (cut->count + 1) * sizeof(*cut->parts));
	cut->parts[cut->count++] = (struct list_part){.number = number, .count = count};
}

void list_cut_fini(struct list_cut *cut)
{
	free(cut->parts);
	json_decref(cut->list);
	*cut = (struct list_cut){0};
}
