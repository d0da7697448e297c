// SPDX-License-Identifier: Apache-2.0
#include "lib/errors.h"

const char *error_name(int code)
{
	switch (code) {
#define X(symbol, number, name, help)                                                              \
	case number:                                                                               \
		return name;
		ERROR_CODES(X)
#undef X
	}
	return "error";
}
