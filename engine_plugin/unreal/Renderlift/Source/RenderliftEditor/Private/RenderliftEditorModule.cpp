// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "Framework/Docking/TabManager.h"
#include "Modules/ModuleManager.h"
#include "RenderliftCapture.h"
#include "RenderliftEditorSession.h"
#include "RenderliftOverlay.h"
#include "RenderliftPictureTexture.h"
#include "SRenderliftPanel.h"
#include "Styling/AppStyle.h"
#include "ToolMenus.h"
#include "Widgets/Docking/SDockTab.h"
#include "WorkspaceMenuStructure.h"
#include "WorkspaceMenuStructureModule.h"

#define LOCTEXT_NAMESPACE "Renderlift"

namespace
{
	const FName TabName(TEXT("Renderlift"));

	FSlateIcon Icon()
	{
		return FSlateIcon(FAppStyle::GetAppStyleSetName(), "LevelEditor.Tabs.Viewports");
	}
}

class FRenderliftEditorModule : public IModuleInterface
{
public:
	virtual void StartupModule() override
	{
		if (IsRunningCommandlet())
		{
			return;
		}
		Session = MakeShared<FRenderliftEditorSession>();
		Picture = MakeShared<FRenderliftPictureTexture>();
		Overlay = MakeShared<FRenderliftOverlay>(Picture.ToSharedRef());
		PictureHandle = FRenderliftCapture::Get().OnPicture.AddLambda(
			[Held = Picture.ToSharedRef()](const FRenderliftPicture& New) { Held->Show(New); });
		FGlobalTabmanager::Get()
			->RegisterNomadTabSpawner(TabName, FOnSpawnTab::CreateRaw(this, &FRenderliftEditorModule::SpawnTab))
			.SetDisplayName(LOCTEXT("TabTitle", "Renderlift"))
			.SetTooltipText(LOCTEXT("TabTip", "The level as a camera would have filmed it."))
			.SetGroup(WorkspaceMenu::GetMenuStructure().GetLevelEditorCategory())
			.SetIcon(Icon());
		UToolMenus::RegisterStartupCallback(
			FSimpleMulticastDelegate::FDelegate::CreateRaw(this, &FRenderliftEditorModule::RegisterToolbar));
	}

	virtual void ShutdownModule() override
	{
		if (!Session)
		{
			return;
		}
		UToolMenus::UnRegisterStartupCallback(this);
		UToolMenus::UnregisterOwner(this);
		FGlobalTabmanager::Get()->UnregisterNomadTabSpawner(TabName);
		FRenderliftCapture::Get().OnPicture.Remove(PictureHandle);
		Overlay.Reset();
		Picture.Reset();
		Session.Reset();
	}

private:
	TSharedRef<SDockTab> SpawnTab(const FSpawnTabArgs&)
	{
		return SNew(SDockTab).TabRole(ETabRole::NomadTab)
			[SNew(SRenderliftPanel, Session.ToSharedRef(), Picture.ToSharedRef(), Overlay.ToSharedRef())];
	}

	void RegisterToolbar()
	{
		FToolMenuOwnerScoped Owner(this);
		UToolMenu* const Toolbar = UToolMenus::Get()->ExtendMenu("LevelEditor.LevelEditorToolBar.PlayToolBar");
		FToolMenuSection& Section = Toolbar->FindOrAddSection("Renderlift");
		const FUIAction Action(FExecuteAction::CreateRaw(this, &FRenderliftEditorModule::OnToggle), FCanExecuteAction(),
			FIsActionChecked::CreateLambda([] { return FRenderliftCapture::Get().IsRunning(); }));
		Section.AddEntry(FToolMenuEntry::InitToolBarButton("RenderliftToggle", Action, LOCTEXT("Button", "Renderlift"),
			LOCTEXT("ButtonTip", "Shows the level photoreal, in the Renderlift tab and over the viewport. Press again to stop."),
			Icon(), EUserInterfaceActionType::ToggleButton));
	}

	void OnToggle()
	{
		const bool bWasRunning = FRenderliftCapture::Get().IsRunning();
		Session->Toggle(ERenderliftMode::Preview);
		if (!bWasRunning)
		{
			FGlobalTabmanager::Get()->TryInvokeTab(TabName);
		}
		Overlay->SetShown(FRenderliftCapture::Get().IsRunning());
	}

	TSharedPtr<FRenderliftEditorSession> Session;
	TSharedPtr<FRenderliftPictureTexture> Picture;
	TSharedPtr<FRenderliftOverlay> Overlay;
	FDelegateHandle PictureHandle;
};

IMPLEMENT_MODULE(FRenderliftEditorModule, RenderliftEditor)

#undef LOCTEXT_NAMESPACE
