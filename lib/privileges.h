// SPDX-License-Identifier: Apache-2.0
/*
 * What a program may do beyond an ordinary user (capabilities(7)), given up as soon as it is known not to be needed.
 */
#ifndef LIB_PRIVILEGES_H
#define LIB_PRIVILEGES_H

/*
 * While we may: joins a group, where it exists, so that its files and directories stay within reach, and may be given to
 * it, without capabilities. Who may not has been put into the groups it needs by whoever started it.
 */
void privileges_join(const char *group);

/*
 * From now on this thread, those it starts and whatever they execute have at most these capabilities (CAP_… of
 * <sys/capability.h>) and can gain none (no_new_privs). Those that the program was not given stay missing: what needs
 * them fails and says so. Other threads that run already are not reached: call it before there are any. 0 or -errno,
 * logged.
 */
int privileges_keep(const int *capabilities, unsigned count);

#endif
