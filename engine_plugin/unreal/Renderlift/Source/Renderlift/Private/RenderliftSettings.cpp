// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftSettings.h"

FName URenderliftSettings::GetCategoryName() const
{
	return TEXT("Plugins");
}
