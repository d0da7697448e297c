/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STATE_FILE_H
#define CORE_STATE_FILE_H
/* The applied state on disk: a node that starts forwards by what it was last told, with or without a
 * controller, which then sends only the difference.
 *
 * The file is a journal, a line each: an item's text, "-" and a key for a deletion, "=" and the revision
 * at the end of each transaction; what follows the last of those is not believed. It is written with the
 * commit but not forced to the disk: a killed process loses nothing, a crashed machine may lose its end,
 * which the controller sends again. From time to time it is made anew from what is applied.
 *
 * Control thread.
 */
#include <stdint.h>

/* Applies what the file holds, if it is there, and keeps it from now on. A file that does not fit is set
 * aside (NAME.bad) with a log line. -errno when it can not be written. */
int state_file_start(const char *path);
/* Closes it; the file stays. */
void state_file_stop(void);

#endif
