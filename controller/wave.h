/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_WAVE_H
#define CONTROLLER_WAVE_H
/*
 * The order in which nodes learn of one change, so that no packet runs ahead of it: who receives comes first
 * when something is added (the port before the endpoints that lead to it, a gateway before those who use it), who sends when something
 * is taken away (the endpoints before the port). Best effort: nodes that only have to follow are held until
 * the others have answered, or for WAVE_HOLD_MS; nobody waits for a node that is away.
 */
#include <jansson.h>
#include <stdbool.h>

struct controller;
struct waves;

#define WAVE_HOLD_MS 50

struct waves *waves_new(struct controller *c);
void waves_free(struct waves *waves);

/* Does the item make its node send packets to another one: an endpoint, a service whose gateway is elsewhere? */
bool wave_is_way(const char *key, const json_t *item);
/* What has changed is queued at the nodes: decides which of them are held. */
void wave_begin(struct controller *c);
/* A node has done its part, or is gone. */
void wave_look(struct controller *c);

#endif
