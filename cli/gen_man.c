// SPDX-License-Identifier: Apache-2.0
/* gen-man: prints vpcctl(1). Run by the build. */
#include "cli/man.h"

int main(void)
{
	man_page(stdout);
	return fflush(stdout) ? 1 : 0;
}
