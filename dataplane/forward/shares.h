/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_SHARES_H
#define FORWARD_SHARES_H
/* What a VPC may have of the table of sessions: what its `share` item says, else so many per cent of the capacity, or all of it
 * for a VPC that is alone on the node. Of that so many per cent may be flows that nobody has answered. Control thread, once. */
void shares_configure(unsigned int vpc_percent, unsigned int unanswered_percent);

#endif
