// SPDX-License-Identifier: BSD-3-Clause
#include "eal/log/log.h"

#include <rte_common.h>

RTE_LOG_REGISTER(iovad_logtype, iovad, NOTICE)
