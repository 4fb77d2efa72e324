// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * JSON as all subcommands print it: members in the order in which they were set, null for what
 * isn't known.
 */
#pragma once

#include <nlohmann/json.hpp>
#include <utility>

namespace tool {

using json = nlohmann::ordered_json;

/** @return @p value, or null unless it is @p known. */
template <typename Value>
[[nodiscard]] json if_known(bool known, Value &&value)
{
    return known ? json(std::forward<Value>(value)) : json();
}

} // namespace tool
