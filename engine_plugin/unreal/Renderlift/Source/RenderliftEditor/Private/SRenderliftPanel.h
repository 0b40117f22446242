// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "CoreMinimal.h"
#include "Widgets/DeclarativeSyntaxSupport.h"
#include "Widgets/SCompoundWidget.h"

class FRenderliftOverlay;
class FRenderliftPictureTexture;
class FRenderliftEditorSession;

/** The tab: start and stop, how the connection does, the picture, the wipe. */
class SRenderliftPanel : public SCompoundWidget
{
public:
	SLATE_BEGIN_ARGS(SRenderliftPanel) {}
	SLATE_END_ARGS()

	void Construct(const FArguments& Arguments, TSharedRef<FRenderliftEditorSession> InSession,
		TSharedRef<FRenderliftPictureTexture> InPicture, TSharedRef<FRenderliftOverlay> InOverlay);

private:
	TSharedRef<SWidget> MakeButtons();
	TSharedRef<SWidget> MakeWipe();
	FText StateText() const;
	FText NumbersText() const;
	FSlateColor StateColor() const;
	FText BadgeText() const;

	TSharedPtr<FRenderliftEditorSession> Session;
	TSharedPtr<FRenderliftPictureTexture> Picture;
	TSharedPtr<FRenderliftOverlay> Overlay;
};

/** "frame 1234 · 210 ms", with "stale" once nothing newer has come for the time in the settings. */
FText RenderliftBadge(const FRenderliftPictureTexture& Picture);
