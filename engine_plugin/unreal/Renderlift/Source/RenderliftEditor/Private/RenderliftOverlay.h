// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// The picture over the level viewport. It is a Slate widget above the scene, so it never reaches the capture.

#pragma once

#include "CoreMinimal.h"

class FRenderliftPictureTexture;
class IAssetViewport;
class SWidget;

/** Game thread. */
class FRenderliftOverlay
{
public:
	explicit FRenderliftOverlay(TSharedRef<FRenderliftPictureTexture> InPicture);
	~FRenderliftOverlay();

	bool IsShown() const
	{
		return Widget.IsValid();
	}

	/** Over the active level viewport, or nowhere. */
	void SetShown(bool bShown);

	/** Share of the width, from the left, that shows the game. */
	float Wipe() const
	{
		return WipeShare;
	}

	void SetWipe(float Share)
	{
		WipeShare = Share;
	}

private:
	TSharedRef<FRenderliftPictureTexture> Picture;
	TSharedPtr<SWidget> Widget;
	TWeakPtr<IAssetViewport> Viewport;
	float WipeShare = 0.0f;
};
