/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_QUOTA_H
#define CONTROLLER_QUOTA_H
/* How much each tenant has, and may have (tenant.quotas). */
#include "model.h"

/* Counts a change of an object from `old` to `new`; either may be NULL. */
void quota_count(
	struct model *model, const struct object *object, const json_t *old, const json_t *new);
/* May its tenant have as much as it has now? Only asked where `old` (NULL: new object) had less. */
bool quota_check(struct model *model, const struct object *object, const json_t *old,
	struct resource_error *error);
/* What the tenant of that object has, as status.used; a new reference. */
json_t *quota_used(struct model *model, const struct object *tenant);

#endif
