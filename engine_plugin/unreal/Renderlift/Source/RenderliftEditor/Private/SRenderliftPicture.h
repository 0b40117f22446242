// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "CoreMinimal.h"
#include "Widgets/DeclarativeSyntaxSupport.h"
#include "Widgets/SLeafWidget.h"

class FRenderliftPictureTexture;

/** The picture, fitted into the widget; the part left of the wipe stays clear. */
class SRenderliftPicture : public SLeafWidget
{
public:
	SLATE_BEGIN_ARGS(SRenderliftPicture) : _Wipe(0.0f) {}
		/** Share of the width, from the left, that is left clear: 0 = all photoreal, 1 = none. */
		SLATE_ATTRIBUTE(float, Wipe)
	SLATE_END_ARGS()

	void Construct(const FArguments& Arguments, TSharedRef<FRenderliftPictureTexture> InTexture);

	//~ SWidget
	virtual int32 OnPaint(const FPaintArgs& Args, const FGeometry& AllottedGeometry, const FSlateRect& MyCullingRect,
		FSlateWindowElementList& OutDrawElements, int32 LayerId, const FWidgetStyle& InWidgetStyle,
		bool bParentEnabled) const override;
	virtual FVector2D ComputeDesiredSize(float LayoutScaleMultiplier) const override;

private:
	TSharedPtr<FRenderliftPictureTexture> Texture;
	TAttribute<float> Wipe;
};
