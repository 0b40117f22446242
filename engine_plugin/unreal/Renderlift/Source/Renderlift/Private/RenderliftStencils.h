// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// Who has which of the 255 custom stencil values this frame.
//
// The stencil buffer is the one id that every kind of primitive writes in the main view, Nanite and skeletal meshes
// included. It has 8 bits, so values are dealt to the instances in view and looked up in a table that travels with the
// frame: any number of instances in the level, 255 of them told apart at once. What does not fit shares one value for each
// class: class right, instance 0.
//
// No engine header, so that it is tested without an engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

struct FRenderliftIds
{
	uint32_t Class = 0;
	uint32_t Instance = 0;

	bool operator==(const FRenderliftIds& Other) const
	{
		return Class == Other.Class && Instance == Other.Instance;
	}
};

class FRenderliftStencils
{
public:
	using FTable = std::array<FRenderliftIds, 256>;	 // by stencil value; 0 = unlabelled

	// Instances: all there are, the most important first, none twice. Afterwards ValueOf and Table hold for the frame
	// about to be drawn. An instance keeps its value for as long as it stays among those that fit.
	void Deal(const std::vector<FRenderliftIds>& Instances);

	// Up to so many instances the order of importance makes no difference.
	static constexpr std::size_t Room = 255;

	// 0 for an instance that has none.
	uint8_t ValueOf(uint32_t Instance) const;

	// How many instances the last Deal left without any value: there are more classes than values.
	std::size_t CountUnlabelled() const
	{
		return Unlabelled;
	}

	const FTable& Table() const
	{
		return Values;
	}

private:
	FTable Values{};
	std::size_t Unlabelled = 0;
	std::unordered_map<uint32_t, uint8_t> ByInstance;
};
