/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H
/* Repeatable randomness for tests that compare against a plain reference, and how much of it to do:
 * VPC_TEST_SIZE=long multiplies, VPC_TEST_SEED repeats a run.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;

/* Starts from VPC_TEST_SEED or a fixed seed, and prints it. */
static inline void random_start(void)
{
	const char *seed = getenv("VPC_TEST_SEED");

	random_state = seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15;
	if (random_state == 0)
		random_state = 1;
	printf("seed %#llx\n", (unsigned long long)random_state);
}

/* xorshift64* */
static inline uint64_t random_u64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1d;
}

/* 0 .. n - 1 */
static inline uint32_t random_below(uint32_t n)
{
	return (uint32_t)(((random_u64() >> 32) * n) >> 32);
}

static inline bool random_one_in(uint32_t n)
{
	return random_below(n) == 0;
}

static inline uint32_t test_size(uint32_t usual, uint32_t with_long)
{
	const char *size = getenv("VPC_TEST_SIZE");

	return size && strcmp(size, "long") == 0 ? with_long : usual;
}

#endif
