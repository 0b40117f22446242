// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// No engine header, so that it is tested without an engine.
#pragma once

#include <string>

namespace RenderliftNames
{
	// "SM_Chair_03" -> "Chair", "BP_Door_C" -> "Door", "Rock7" -> "Rock": prefixes of Unreal's naming conventions, numbers
	// and the _C of generated classes say nothing about what a thing is. A name that is nothing else stays as it is.
	std::string ClassOfName(const std::string& Name);
}
