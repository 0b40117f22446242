// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "SRenderliftPicture.h"

#include "Layout/Clipping.h"
#include "Rendering/DrawElements.h"
#include "RenderliftPictureTexture.h"

void SRenderliftPicture::Construct(const FArguments& Arguments, TSharedRef<FRenderliftPictureTexture> InTexture)
{
	Texture = InTexture;
	Wipe = Arguments._Wipe;
	SetCanTick(false);
}

int32 SRenderliftPicture::OnPaint(const FPaintArgs& Args, const FGeometry& AllottedGeometry,
	const FSlateRect& MyCullingRect, FSlateWindowElementList& OutDrawElements, int32 LayerId,
	const FWidgetStyle& InWidgetStyle, bool bParentEnabled) const
{
	const FSlateBrush* const Brush = Texture->Brush();
	const FVector2D Room = AllottedGeometry.GetLocalSize();
	if (!Brush || Room.X < 1.0 || Room.Y < 1.0)
	{
		return LayerId;
	}
	const FVector2D Picture = Brush->ImageSize;
	const double Scale = FMath::Min(Room.X / Picture.X, Room.Y / Picture.Y);
	const FVector2D Size = Picture * Scale;
	const FVector2D Corner = (Room - Size) * 0.5;
	const double Clear = FMath::Clamp(double(Wipe.Get()), 0.0, 1.0) * Size.X;

	const FVector2D VisibleCorner(Corner.X + Clear, Corner.Y);
	const FVector2D VisibleSize(Size.X - Clear, Size.Y);
	OutDrawElements.PushClip(FSlateClippingZone(
		AllottedGeometry.ToPaintGeometry(FVector2f(VisibleSize), FSlateLayoutTransform(FVector2f(VisibleCorner)))));
	FSlateDrawElement::MakeBox(OutDrawElements, uint32(LayerId),
		AllottedGeometry.ToPaintGeometry(FVector2f(Size), FSlateLayoutTransform(FVector2f(Corner))), Brush);
	OutDrawElements.PopClip();
	return LayerId;
}

FVector2D SRenderliftPicture::ComputeDesiredSize(float) const
{
	const FSlateBrush* const Brush = Texture->Brush();
	if (!Brush)
	{
		return FVector2D(320.0, 180.0);
	}
	return Brush->ImageSize;
}
