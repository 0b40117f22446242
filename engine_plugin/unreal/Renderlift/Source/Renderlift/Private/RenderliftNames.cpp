// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftNames.h"

namespace RenderliftNames
{
	std::string ClassOfName(const std::string& Name)
	{
		std::string Result = Name;
		for (const char* Prefix : {"SM_", "SK_", "SKM_", "BP_", "S_"})
		{
			if (Result.rfind(Prefix, 0) == 0)
			{
				Result.erase(0, std::string(Prefix).size());
				break;
			}
		}
		if (Result.size() > 2 && Result.compare(Result.size() - 2, 2, "_C") == 0)
		{
			Result.erase(Result.size() - 2);
		}
		while (!Result.empty() && (Result.back() == '_' || (Result.back() >= '0' && Result.back() <= '9')))
		{
			Result.pop_back();
		}
		return Result.empty() ? Name : Result;
	}
}
