// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftOverlay.h"

#include "IAssetViewport.h"
#include "LevelEditor.h"
#include "Modules/ModuleManager.h"
#include "RenderliftPictureTexture.h"
#include "SRenderliftPanel.h"
#include "SRenderliftPicture.h"
#include "Widgets/SOverlay.h"
#include "Widgets/Text/STextBlock.h"

FRenderliftOverlay::FRenderliftOverlay(TSharedRef<FRenderliftPictureTexture> InPicture) : Picture(InPicture) {}

FRenderliftOverlay::~FRenderliftOverlay()
{
	SetShown(false);
}

void FRenderliftOverlay::SetShown(bool bShown)
{
	if (const TSharedPtr<IAssetViewport> Old = Viewport.Pin(); Old && Widget)
	{
		Old->RemoveOverlayWidget(Widget.ToSharedRef());
	}
	Widget.Reset();
	FLevelEditorModule* const LevelEditor = FModuleManager::GetModulePtr<FLevelEditorModule>("LevelEditor");
	const TSharedPtr<IAssetViewport> Active = bShown && LevelEditor ? LevelEditor->GetFirstActiveViewport() : nullptr;
	if (!Active)
	{
		return;
	}
	Widget =
		SNew(SOverlay)
		.Visibility(EVisibility::HitTestInvisible)	// the viewport below keeps the mouse
		+ SOverlay::Slot()
		[
			SNew(SRenderliftPicture, Picture).Wipe_Lambda([this] { return WipeShare; })
		]
		+ SOverlay::Slot().HAlign(HAlign_Right).VAlign(VAlign_Bottom).Padding(FMargin(12.0f))
		[
			SNew(STextBlock)
			.Text_Lambda([Shown = Picture] { return RenderliftBadge(*Shown); })
			.ShadowOffset(FVector2D(1.0, 1.0))
		];
	Active->AddOverlayWidget(Widget.ToSharedRef());
	Viewport = Active;
}
