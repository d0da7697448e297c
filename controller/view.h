/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_VIEW_H
#define CONTROLLER_VIEW_H
/* Objects as callers see them: with the status of this moment. */
#include "api.h"

/* A copy with status. New reference. */
json_t *view_object(struct controller *c, const struct object *object);

/*
 * Answers with objects of the call's kind, one or {items}. Ports are looked up in their dataplanes first when what
 * is known is older than a second, or `fresh` asks for it. Takes result.
 */
void view_reply(struct api_call *call, json_t *result, bool fresh);

#endif
