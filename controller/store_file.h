/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_STORE_FILE_H
#define CONTROLLER_STORE_FILE_H

/*
 * Makes the store's directories, and takes the store for this process: a lock on PATH.lock, which ends with the
 * process however it ends. Waits two seconds for another one that is ending. A file descriptor to be closed, or
 * -errno (-EWOULDBLOCK: another process has it), logged.
 */
int store_file_claim(const char *path);

#endif
