/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_FAN_OUT_H
#define CONTROLLER_FAN_OUT_H
/* Asking several nodes at once, and going on when all have answered or had their time. */
#include <jansson.h>
#include <stdint.h>

struct controller;
struct fan_out;
struct node;

typedef void (*fan_out_fn)(struct fan_out *fan, void *arg);

/* new → ask any number → wait, which calls `done` once (perhaps at once) and then frees it. */
struct fan_out *fan_out_new(struct controller *c, unsigned timeout_ms, fan_out_fn done, void *arg);
/* Takes params. */
void fan_out_ask(struct fan_out *fan, struct node *node, const char *method, json_t *params);
/* The same, with its answer under another name than the node's. */
void fan_out_ask_as(struct fan_out *fan, struct node *node, const char *key, const char *method,
	json_t *params);
void fan_out_wait(struct fan_out *fan);

/* By the node's name, or the key. Borrowed during `done`; NULL when that node was not asked or did not answer. */
const json_t *fan_out_result(const struct fan_out *fan, const char *key);
/* What went wrong with the last node that failed; NULL when none did. */
const char *fan_out_failed(const struct fan_out *fan);
/* Code of its error answer, 0 when it was none. */
int fan_out_code(const struct fan_out *fan);

#endif
