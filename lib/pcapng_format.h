// SPDX-License-Identifier: Apache-2.0
/* The numbers of draft-ietf-opsawg-pcapng that writer and reader share. */
#ifndef LIB_PCAPNG_FORMAT_H
#define LIB_PCAPNG_FORMAT_H

#include <stddef.h>

#define PCAPNG_MAGIC 0x1a2b3c4du
#define PCAPNG_LENGTH_AT 4 /* offset of a block's first length */
#define PCAPNG_HEAD 8
#define PCAPNG_TAIL 4

enum pcapng_option {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	SHB_APPLICATION = 4,
	IDB_NAME = 2,
	IDB_DESCRIPTION = 3,
	IDB_TSRESOL = 9,
	IDB_FILTER = 11,
	EPB_FLAGS = 2,
	EPB_DROPCOUNT = 4,
	EPB_PACKETID = 5,
	EPB_VERDICT = 7,
	ISB_STARTTIME = 2,
	ISB_ENDTIME = 3,
	ISB_IFRECV = 4,
	ISB_IFDROP = 5,
	ISB_FILTERACCEPT = 6,
};

static inline size_t pcapng_padded(size_t length)
{
	return (length + 3) & ~(size_t)3;
}

#endif
