/* SPDX-License-Identifier: Apache-2.0 */
/* Which rules of a list live on in the list that replaces it.
 *
 * Equal rules are paired from the front, then the longest ascending run of pairs is kept (patience
 * sorting): rules that stay must keep their order, because it decides ties and is what compiled
 * tables were built by.
 */
#include <errno.h>
#include <stdlib.h>

#include "policy/policy_internal.h"

#define NONE UINT32_MAX

static uint32_t spec_hash(const struct rule_spec *spec)
{
	uint64_t word[4], hash = 0;

	memcpy(word, spec, sizeof(word));
	for (int i = 0; i < 4; i++)
		hash = hash_mix(hash, word[i]);
	return hash_fold(hash);
}

static bool spec_equal(const struct rule_spec *a, const struct rule_spec *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* For each of n specs an equal rule of old, each used once, the first ones first. bucket: mask + 1,
 * chain: n_old. */
static void pair_equal(struct rule *const *old, uint32_t n_old, const struct rule_spec *specs,
	uint32_t n, uint32_t *pair, uint32_t *bucket, uint32_t mask, uint32_t *chain)
{
	memset(bucket, 0xff, ((size_t)mask + 1) * sizeof(*bucket));
	for (uint32_t i = n_old; i-- > 0;) {
		uint32_t b = spec_hash(&old[i]->spec) & mask;
		chain[i] = bucket[b];
		bucket[b] = i;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t *link = &bucket[spec_hash(&specs[i]) & mask];
		while (*link != NONE && !spec_equal(&old[*link]->spec, &specs[i]))
			link = &chain[*link];
		pair[i] = *link;
		if (*link != NONE)
			*link = chain[*link];
	}
}

/* Unpairs what is not on the longest ascending run. tails, before: n each. */
static void keep_ascending(uint32_t *pair, uint32_t n, uint32_t *tails, uint32_t *before)
{
	uint32_t length =
		0; /* of the longest run; tails[l]: where a run of length l + 1 ends lowest */

	for (uint32_t i = 0; i < n; i++) {
		if (pair[i] == NONE)
			continue;
		uint32_t lo = 0, hi = length;
		if (length > 0 && pair[tails[length - 1]] < pair[i])
			lo = length;
		while (lo < hi) {
			uint32_t mid = (lo + hi) / 2;
			if (pair[tails[mid]] < pair[i])
				lo = mid + 1;
			else
				hi = mid;
		}
		before[i] = lo > 0 ? tails[lo - 1] : NONE;
		tails[lo] = i;
		if (lo == length)
			length++;
	}
	uint32_t on_run = length > 0 ? tails[length - 1] : NONE;
	for (uint32_t i = n; i-- > 0;) {
		if (i == on_run)
			on_run = before[i];
		else
			pair[i] = NONE;
	}
}

static int diff_middle(struct rule *const *old, uint32_t n_old, const struct rule_spec *specs,
	uint32_t n, uint32_t *match)
{
	uint32_t mask = 1;

	while (mask < n_old)
		mask = mask * 2 + 1;
	uint32_t *bucket = malloc(((size_t)mask + 1 + n_old) * sizeof(uint32_t));
	uint32_t *tails = malloc(2 * (size_t)n * sizeof(uint32_t));
	if (bucket && tails) {
		pair_equal(old, n_old, specs, n, match, bucket, mask, bucket + mask + 1);
		keep_ascending(match, n, tails, tails + n);
	}
	free(bucket);
	free(tails);
	return bucket && tails ? 0 : -ENOMEM;
}

int rule_diff(struct rule *const *old, uint32_t n_old, const struct rule_spec *specs, uint32_t n,
	uint32_t *match)
{
	uint32_t head = 0, tail = 0, shorter = n < n_old ? n : n_old;

	for (; head < shorter && spec_equal(&old[head]->spec, &specs[head]); head++)
		match[head] = head;
	for (; tail < shorter - head &&
		spec_equal(&old[n_old - 1 - tail]->spec, &specs[n - 1 - tail]);
		tail++)
		match[n - 1 - tail] = n_old - 1 - tail;

	uint32_t middle = n - head - tail, middle_old = n_old - head - tail;
	if (middle == 0)
		return 0;
	if (middle_old == 0) {
		memset(&match[head], 0xff, middle * sizeof(*match));
		return 0;
	}
	int rc = diff_middle(old + head, middle_old, specs + head, middle, match + head);
	if (rc)
		return rc;
	for (uint32_t i = head; i < n - tail; i++)
		match[i] = match[i] == NONE ? RULE_NEW : match[i] + head;
	return 0;
}
