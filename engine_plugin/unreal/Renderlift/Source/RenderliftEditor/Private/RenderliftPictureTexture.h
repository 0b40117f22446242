// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "CoreMinimal.h"
#include "Engine/Texture2D.h"
#include "RenderliftCapture.h"
#include "Styling/SlateBrush.h"
#include "UObject/StrongObjectPtr.h"

/** The newest picture as something that Slate can draw. Game thread. */
class FRenderliftPictureTexture
{
public:
	/** Takes the picture's pixels. Costs one upload; a new texture only when the size changes. */
	void Show(const FRenderliftPicture& Picture);

	/** Null before the first picture. */
	const FSlateBrush* Brush() const
	{
		return Texture ? &TextureBrush : nullptr;
	}

	int64 Index() const
	{
		return ShownIndex;
	}

	double LatencyMilliseconds() const
	{
		return ShownLatencyMilliseconds;
	}

	/** How long ago the picture came, seconds. */
	double AgeSeconds() const;

private:
	TStrongObjectPtr<UTexture2D> Texture;
	FSlateBrush TextureBrush;
	int64 ShownIndex = 0;
	double ShownLatencyMilliseconds = 0;
	double ReceivedSeconds = 0;
};
