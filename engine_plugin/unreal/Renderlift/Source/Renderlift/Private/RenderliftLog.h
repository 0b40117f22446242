// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "Logging/LogMacros.h"

DECLARE_LOG_CATEGORY_EXTERN(LogRenderlift, Log, All);
