// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "SRenderliftPanel.h"

#include "ISettingsModule.h"
#include "Modules/ModuleManager.h"
#include "RenderliftCapture.h"
#include "RenderliftEditorSession.h"
#include "RenderliftOverlay.h"
#include "RenderliftPictureTexture.h"
#include "RenderliftSettings.h"
#include "SRenderliftPicture.h"
#include "Widgets/Input/SButton.h"
#include "Widgets/Input/SCheckBox.h"
#include "Widgets/Input/SSlider.h"
#include "Widgets/SBoxPanel.h"
#include "Widgets/SOverlay.h"
#include "Widgets/Text/STextBlock.h"

#define LOCTEXT_NAMESPACE "Renderlift"

void SRenderliftPanel::Construct(const FArguments& Arguments, TSharedRef<FRenderliftEditorSession> InSession,
	TSharedRef<FRenderliftPictureTexture> InPicture, TSharedRef<FRenderliftOverlay> InOverlay)
{
	Session = InSession;
	Picture = InPicture;
	Overlay = InOverlay;
	const FMargin Gap(6.0f, 3.0f);
	ChildSlot
	[
		SNew(SVerticalBox)
		+ SVerticalBox::Slot().AutoHeight().Padding(Gap)
		[
			MakeButtons()
		]
		+ SVerticalBox::Slot().AutoHeight().Padding(Gap)
		[
			SNew(STextBlock)
			.Text(this, &SRenderliftPanel::StateText)
			.ColorAndOpacity(this, &SRenderliftPanel::StateColor)
			.AutoWrapText(true)
		]
		+ SVerticalBox::Slot().AutoHeight().Padding(Gap)
		[
			SNew(STextBlock).Text(this, &SRenderliftPanel::NumbersText).AutoWrapText(true)
		]
		+ SVerticalBox::Slot().AutoHeight().Padding(Gap)
		[
			MakeWipe()
		]
		+ SVerticalBox::Slot().FillHeight(1.0f).Padding(Gap)
		[
			SNew(SOverlay)
			+ SOverlay::Slot()
			[
				SNew(SRenderliftPicture, InPicture)
			]
			+ SOverlay::Slot().HAlign(HAlign_Left).VAlign(VAlign_Bottom).Padding(Gap)
			[
				SNew(STextBlock).Text(this, &SRenderliftPanel::BadgeText).ShadowOffset(FVector2D(1.0, 1.0))
			]
		]
	];
}

TSharedRef<SWidget> SRenderliftPanel::MakeButtons()
{
	const auto Button = [this](ERenderliftMode Mode, FText Label, FText ToolTip)
	{
		return SNew(SButton)
			.Text_Lambda([Label] { return FRenderliftCapture::Get().IsRunning() ? LOCTEXT("Stop", "Stop") : Label; })
			.ToolTipText(ToolTip)
			.OnClicked_Lambda(
				[this, Mode]
				{
					Session->Toggle(Mode);
					return FReply::Handled();
				});
	};
	return SNew(SHorizontalBox)
		+ SHorizontalBox::Slot().AutoWidth()
		[
			Button(ERenderliftMode::Preview, LOCTEXT("Preview", "Preview"),
				LOCTEXT("PreviewTip",
					"Shows the viewport photoreal while you fly around. The newest frame wins; the editor never waits."))
		]
		+ SHorizontalBox::Slot().AutoWidth().Padding(6.0f, 0.0f)
		[
			Button(ERenderliftMode::Capture, LOCTEXT("Capture", "Capture"),
				LOCTEXT("CaptureTip",
					"Sends every frame of the viewport at full size, with all channels, and waits until the bridge has it."))
		]
		+ SHorizontalBox::Slot().AutoWidth()
		[
			SNew(SButton)
			.Text(LOCTEXT("Settings", "Settings"))
			.OnClicked_Lambda(
				[]
				{
					FModuleManager::LoadModuleChecked<ISettingsModule>("Settings").ShowViewer("Project", "Plugins", "RenderliftSettings");
					return FReply::Handled();
				})
		];
}

TSharedRef<SWidget> SRenderliftPanel::MakeWipe()
{
	return SNew(SHorizontalBox)
		+ SHorizontalBox::Slot().AutoWidth().VAlign(VAlign_Center)
		[
			SNew(SCheckBox)
			.IsChecked_Lambda([this] { return Overlay->IsShown() ? ECheckBoxState::Checked : ECheckBoxState::Unchecked; })
			.OnCheckStateChanged_Lambda([this](ECheckBoxState State) { Overlay->SetShown(State == ECheckBoxState::Checked); })
			[
				SNew(STextBlock).Text(LOCTEXT("InViewport", "over the viewport"))
			]
		]
		+ SHorizontalBox::Slot().FillWidth(1.0f).Padding(12.0f, 0.0f).VAlign(VAlign_Center)
		[
			SNew(SSlider)
			.ToolTipText(LOCTEXT("WipeTip", "The game is left of the line, the photoreal picture right of it."))
			.Value_Lambda([this] { return Overlay->Wipe(); })
			.OnValueChanged_Lambda([this](float Value) { Overlay->SetWipe(Value); })
		];
}

FText SRenderliftPanel::StateText() const
{
	const FRenderliftCapture& Capture = FRenderliftCapture::Get();
	if (!Capture.IsRunning())
	{
		return Session->LastProblem().IsEmpty() ? LOCTEXT("Off", "Off. Start `renderlift serve`, then press Preview.")
												: Session->LastProblem();
	}
	const FRenderliftStatus Status = Capture.Status();
	if (!Status.Problem.IsEmpty())
	{
		return FText::FromString(Status.Problem + TEXT(" ") + Status.Fix);
	}
	return Status.bConnected
		? FText::Format(LOCTEXT("Connected", "Connected to {0}, {1}"), FText::FromString(Status.Bridge),
			  Status.bSharedMemory ? LOCTEXT("Shared", "shared memory") : LOCTEXT("Socket", "socket"))
		: LOCTEXT("Waiting", "Waiting for the bridge. Start `renderlift serve`.");
}

FSlateColor SRenderliftPanel::StateColor() const
{
	const FRenderliftCapture& Capture = FRenderliftCapture::Get();
	const bool bGood = Capture.IsRunning() && Capture.Status().bConnected && Capture.Status().Problem.IsEmpty();
	return bGood ? FSlateColor(FLinearColor(0.3f, 0.8f, 0.3f)) : FSlateColor::UseForeground();
}

FText SRenderliftPanel::NumbersText() const
{
	if (!FRenderliftCapture::Get().IsRunning())
	{
		return FText::GetEmpty();
	}
	const FRenderliftStatus Status = FRenderliftCapture::Get().Status();
	return FText::FromString(FString::Printf(
		TEXT("%.0f frames/s sent, %.1f pictures/s back, latency %.0f ms, %llu dropped, %llu under way\n%s"),
		Status.FramesPerSecond, Status.PicturesPerSecond, Status.LatencyMilliseconds, Status.Dropped, Status.Unsettled,
		*Status.Channels));
}

FText SRenderliftPanel::BadgeText() const
{
	return RenderliftBadge(*Picture);
}

FText RenderliftBadge(const FRenderliftPictureTexture& Picture)
{
	if (!Picture.Brush())
	{
		return FText::GetEmpty();
	}
	const int32 StaleAfter = GetDefault<URenderliftSettings>()->StaleAfterMilliseconds;
	const TCHAR* const Stale = Picture.AgeSeconds() * 1000.0 > StaleAfter ? TEXT("  (stale)") : TEXT("");
	return FText::FromString(
		FString::Printf(TEXT("frame %lld, %.0f ms%s"), Picture.Index(), Picture.LatencyMilliseconds(), Stale));
}

#undef LOCTEXT_NAMESPACE
