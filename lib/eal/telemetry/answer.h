// SPDX-License-Identifier: BSD-3-Clause
// An answer on the telemetry socket: a dictionary of numbers, texts and lists of them. Lists
// stand for tables too, one for each column: 22.11 knows no dictionary inside another.
//
// DPDK keeps 256 entries, 512 elements of a list, and 16 KiB of JSON; what goes beyond is left
// out. Answers stay within that.
#pragma once

#include <string>

#include "eal/dpdk_versions.h"

namespace iovad::eal {

// DPDK leaves out a text that is longer.
inline std::string fit_telemetry(const std::string &text) { return text.substr(0, RTE_TEL_MAX_STRING_LEN - 1); }

class Answer {
public:
	explicit Answer(rte_tel_data *data) : data_(data) { rte_tel_data_start_dict(data); }

	void number(const char *name, uint64_t value) { add_uint(data_, name, value); }
	void text(const char *name, const char *value) { rte_tel_data_add_dict_string(data_, name, value); }

	// fill(add): add(value) for each element.
	template <class Fill> void numbers(const char *name, Fill fill)
	{
		list(name, kTelemetryUint, [&](rte_tel_data *to) { fill([to](uint64_t value) { add_uint(to, value); }); });
	}
	template <class Fill> void texts(const char *name, Fill fill)
	{
		list(name, RTE_TEL_STRING_VAL, [&](rte_tel_data *to) {
			fill([to](const char *value) { rte_tel_data_add_array_string(to, value); });
		});
	}

private:
	template <class Fill> void list(const char *name, rte_tel_value_type type, Fill fill)
	{
		rte_tel_data *array = rte_tel_data_alloc();
		if (!array)
			return;
		rte_tel_data_start_array(array, type);
		fill(array);
		if (rte_tel_data_add_dict_container(data_, name, array, 0) < 0)
			rte_tel_data_free(array);
	}

	rte_tel_data *data_;
};

}  // namespace iovad::eal
