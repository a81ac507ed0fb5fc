#pragma once

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "units/unit_map.hpp"

namespace incite::test {

/// A unit map by hand. Each unit is given by its members, (layer, channel); a group's layers are those of its units.
class UnitMapBuilder {
 public:
  explicit UnitMapBuilder(size_t layers) { map_.layers.resize(layers); }

  /// Adds a unit to a group, which is made where it is not there yet. Returns the unit's index.
  int32_t add(int32_t group, const std::vector<Unit::Member>& members, bool pinned = false) {
    const auto index = static_cast<int32_t>(map_.units.size());
    map_.units.push_back({members, group, pinned});
    if (map_.groups.size() <= static_cast<size_t>(group)) map_.groups.resize(static_cast<size_t>(group) + 1);
    Group& own = map_.groups[static_cast<size_t>(group)];
    own.units.push_back(index);
    for (const Unit::Member& member : members) {
      auto& channels = map_.layers[static_cast<size_t>(member.layer)].units;
      channels.resize(std::max(channels.size(), static_cast<size_t>(member.channel) + 1), no_unit);
      channels[static_cast<size_t>(member.channel)] = index;
      if (std::find(own.layers.begin(), own.layers.end(), member.layer) == own.layers.end())
        own.layers.push_back(member.layer);
    }
    return index;
  }

  /// Adds `count` units of one channel each to a layer, a group of its own.
  void add_layer(int32_t layer, int32_t group, int32_t count, bool pinned = false) {
    for (int32_t channel = 0; channel < count; ++channel)
      add(group, {{layer, channel}}, pinned);
  }

  void set_head(int32_t layer) { map_.head = layer; }

  UnitMap build() {
    for (Group& group : map_.groups) {
      group.pinned = std::all_of(group.units.begin(), group.units.end(),
                                 [&](int32_t unit) { return map_.units[static_cast<size_t>(unit)].pinned; });
    }
    for (const Layer& layer : map_.layers) {
      std::vector<int32_t> span = layer.units;
      std::sort(span.begin(), span.end());
      map_.spans.push_back(std::move(span));
    }
    return map_;
  }

 private:
  UnitMap map_;
};

}  // namespace incite::test
