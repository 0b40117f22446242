// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftPictureTexture.h"

#include "HAL/PlatformTime.h"
#include "RHI.h"

void FRenderliftPictureTexture::Show(const FRenderliftPicture& Picture)
{
	const FIntPoint Size = Picture.Size;
	if (!Texture || Texture->GetSizeX() != Size.X || Texture->GetSizeY() != Size.Y)
	{
		Texture.Reset(UTexture2D::CreateTransient(Size.X, Size.Y, PF_B8G8R8A8));
		Texture->SRGB = true;
		Texture->Filter = TF_Bilinear;
		Texture->UpdateResource();
		TextureBrush = FSlateBrush();
		TextureBrush.SetResourceObject(Texture.Get());
		TextureBrush.ImageSize = FVector2D(Size.X, Size.Y);
		TextureBrush.DrawAs = ESlateBrushDrawType::Image;
	}
	// Both live until the render thread has copied them; only then may they be freed.
	FUpdateTextureRegion2D* const Region = new FUpdateTextureRegion2D(0, 0, 0, 0, uint32(Size.X), uint32(Size.Y));
	TArray<uint8>* const Pixels = new TArray<uint8>(Picture.Bgra);
	Texture->UpdateTextureRegions(0, 1, Region, uint32(Size.X) * 4, 4, Pixels->GetData(),
		[Pixels](uint8*, const FUpdateTextureRegion2D* Done)
		{
			delete Done;
			delete Pixels;
		});
	ShownIndex = Picture.Index;
	ShownLatencyMilliseconds = Picture.LatencyMilliseconds;
	ReceivedSeconds = Picture.ReceivedSeconds;
}

double FRenderliftPictureTexture::AgeSeconds() const
{
	return FPlatformTime::Seconds() - ReceivedSeconds;
}
