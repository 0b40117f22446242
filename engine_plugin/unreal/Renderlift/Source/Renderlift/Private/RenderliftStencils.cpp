// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftStencils.h"

#include <algorithm>
#include <unordered_set>

namespace
{
	constexpr std::size_t Room = FRenderliftStencils::Room;

	// How many from the front get a value of their own, so that the classes of the rest find room behind them.
	std::size_t CountWithOwnValue(const std::vector<FRenderliftIds>& Instances)
	{
		if (Instances.size() <= Room)
		{
			return Instances.size();
		}
		std::unordered_set<uint32_t> ClassesOfRest;
		for (std::size_t Index = Room; Index < Instances.size(); ++Index)
		{
			ClassesOfRest.insert(Instances[Index].Class);
		}
		std::size_t Own = Room;
		while (Own > 0 && Own + ClassesOfRest.size() > Room)
		{
			--Own;
			ClassesOfRest.insert(Instances[Own].Class);
		}
		return Own;
	}
}

void FRenderliftStencils::Deal(const std::vector<FRenderliftIds>& Instances)
{
	const std::size_t Own = CountWithOwnValue(Instances);
	std::unordered_map<uint32_t, uint8_t> Before;
	Before.swap(ByInstance);
	FTable Dealt{};
	Unlabelled = 0;
	std::array<bool, 256> Taken{};
	Taken[0] = true;

	for (std::size_t Index = 0; Index < Own; ++Index)
	{
		const auto Found = Before.find(Instances[Index].Instance);
		// A shared value stands for a class, so its holder of last frame has no claim to it.
		if (Found != Before.end() && Values[Found->second].Instance == Instances[Index].Instance)
		{
			ByInstance[Instances[Index].Instance] = Found->second;
			Dealt[Found->second] = Instances[Index];
			Taken[Found->second] = true;
		}
	}

	std::size_t Next = 1;
	const auto TakeFree = [&Taken, &Next]
	{
		while (Next < Taken.size() && Taken[Next])
		{
			++Next;
		}
		if (Next == Taken.size())
		{
			return uint8_t(0);	// more classes than values: unlabelled
		}
		Taken[Next] = true;
		return uint8_t(Next);
	};
	for (std::size_t Index = 0; Index < Own; ++Index)
	{
		if (ByInstance.count(Instances[Index].Instance) == 0)
		{
			const uint8_t Value = TakeFree();
			ByInstance[Instances[Index].Instance] = Value;
			Dealt[Value] = Instances[Index];
		}
	}

	std::unordered_map<uint32_t, uint8_t> ByClass;
	for (std::size_t Index = Own; Index < Instances.size(); ++Index)
	{
		const auto [Found, bNew] = ByClass.try_emplace(Instances[Index].Class, uint8_t(0));
		if (bNew)
		{
			Found->second = TakeFree();
			Dealt[Found->second] = FRenderliftIds{Instances[Index].Class, 0};
		}
		ByInstance[Instances[Index].Instance] = Found->second;
		Unlabelled += Found->second == 0;
	}
	Dealt[0] = FRenderliftIds{};
	Values = Dealt;
}

uint8_t FRenderliftStencils::ValueOf(uint32_t Instance) const
{
	const auto Found = ByInstance.find(Instance);
	return Found == ByInstance.end() ? 0 : Found->second;
}
