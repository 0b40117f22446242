// Declarations of our own: Slate, the editor, the movie pipeline, automation.
#pragma once

#include "Rendering.h"

#include <tuple>

// Slate
template <class T>
struct TAttribute
{
	TAttribute();
	TAttribute(T);
	T Get() const;
};
struct FMargin
{
	FMargin(float);
	FMargin(float, float);
};
enum EHorizontalAlignment { HAlign_Left, HAlign_Right, HAlign_Center };
enum EVerticalAlignment { VAlign_Top, VAlign_Bottom, VAlign_Center };
enum class EVisibility { Visible, HitTestInvisible };
struct FSlateColor
{
	FSlateColor(const FLinearColor&);
	static FSlateColor UseForeground();
};
struct FSlateRect;
struct FPaintArgs;
struct FWidgetStyle;
struct FSlateLayoutTransform
{
	explicit FSlateLayoutTransform(const FVector2f&);
};
struct FPaintGeometry {};
// Slate's vectors are becoming floats; on the way they turn into either kind.
struct FDeclaredSlateVector
{
	FDeclaredSlateVector& operator=(const FVector2D&);
	operator FVector2f() const;
	operator FVector2D() const;
};
struct FGeometry
{
	FDeclaredSlateVector GetLocalSize() const;
	FPaintGeometry ToPaintGeometry(const FVector2f&, const FSlateLayoutTransform&) const;
};
struct FSlateClippingZone
{
	explicit FSlateClippingZone(const FPaintGeometry&);
};
struct FSlateWindowElementList
{
	void PushClip(const FSlateClippingZone&);
	void PopClip();
};
namespace ESlateBrushDrawType
{
	enum Type { Image };
}
struct FSlateBrush
{
	FDeclaredSlateVector ImageSize;
	ESlateBrushDrawType::Type DrawAs;
	void SetResourceObject(UObject*);
};
struct FSlateDrawElement
{
	static void MakeBox(FSlateWindowElementList&, uint32, const FPaintGeometry&, const FSlateBrush*);
};
struct FReply
{
	static FReply Handled();
};
enum class ECheckBoxState : uint8 { Unchecked, Checked };

class SWidget
{
public:
	virtual ~SWidget();
	virtual int32 OnPaint(const FPaintArgs&, const FGeometry&, const FSlateRect&, FSlateWindowElementList&, int32,
		const FWidgetStyle&, bool) const = 0;
	void SetCanTick(bool);

protected:
	virtual FVector2D ComputeDesiredSize(float) const = 0;
};
class SLeafWidget : public SWidget {};
class SDeclaredWidget : public SWidget
{
public:
	virtual int32 OnPaint(const FPaintArgs&, const FGeometry&, const FSlateRect&, FSlateWindowElementList&, int32,
		const FWidgetStyle&, bool) const override;

protected:
	virtual FVector2D ComputeDesiredSize(float) const override;
};
struct FDeclaredSlot
{
	FDeclaredSlot& operator[](const TSharedRef<SWidget>&);
};
class SCompoundWidget : public SDeclaredWidget
{
public:
	FDeclaredSlot ChildSlot;
};

// An argument X of type T is given as X(value), X(object, &Class::Member) or X_Lambda(function).
#define DECLARED_ARGUMENT(T, Name) \
	FArguments& Name(TAttribute<T>); \
	template <class C> FArguments& Name(C*, T (C::*)() const); \
	template <class F> requires std::is_invocable_r_v<T, F> FArguments& Name##_Lambda(F) NEVER_RUN
#define SLATE_ATTRIBUTE(T, Name) TAttribute<T> _##Name; DECLARED_ARGUMENT(T, Name)
#define SLATE_BEGIN_ARGS(Widget) struct FArguments { DECLARED_ARGUMENT(EVisibility, Visibility) DECLARED_ARGUMENT(FText, ToolTipText) FArguments& operator[](const TSharedRef<SWidget>&); FArguments()
#define SLATE_END_ARGS() };

template <class T, class... A>
struct TDeclaredNew
{
	template <class F>
		requires std::convertible_to<F&, const typename T::FArguments&> && requires(T Widget, typename T::FArguments Arguments, A... Rest) {
			Widget.Construct(Arguments, Rest...);
		}
	TSharedRef<T> operator<<=(F&&) const;
};
template <class T, class... A> TDeclaredNew<T, A...> DeclaredNew(const A&...);
#define SNew(Type, ...) DeclaredNew<Type>(__VA_ARGS__) <<= Type::FArguments()

#define DECLARED_SLOTS \
	struct FDeclaredSlotArguments \
	{ \
		FDeclaredSlotArguments& AutoHeight(); \
		FDeclaredSlotArguments& FillHeight(float); \
		FDeclaredSlotArguments& AutoWidth(); \
		FDeclaredSlotArguments& FillWidth(float); \
		FDeclaredSlotArguments& Padding(FMargin); \
		FDeclaredSlotArguments& Padding(float, float); \
		FDeclaredSlotArguments& HAlign(EHorizontalAlignment); \
		FDeclaredSlotArguments& VAlign(EVerticalAlignment); \
		FDeclaredSlotArguments& operator[](const TSharedRef<SWidget>&); \
	}; \
	static FDeclaredSlotArguments Slot();
#define DECLARED_PANEL(Name) \
	class Name : public SDeclaredWidget \
	{ \
	public: \
		DECLARED_SLOTS \
		SLATE_BEGIN_ARGS(Name) {} \
			FArguments& operator+(const FDeclaredSlotArguments&); \
		SLATE_END_ARGS() \
		void Construct(const FArguments&); \
	};
DECLARED_PANEL(SVerticalBox)
DECLARED_PANEL(SHorizontalBox)
DECLARED_PANEL(SOverlay)
class STextBlock : public SDeclaredWidget
{
public:
	SLATE_BEGIN_ARGS(STextBlock) {}
		DECLARED_ARGUMENT(FText, Text)
		DECLARED_ARGUMENT(FSlateColor, ColorAndOpacity)
		DECLARED_ARGUMENT(bool, AutoWrapText)
		DECLARED_ARGUMENT(FVector2D, ShadowOffset)
	SLATE_END_ARGS()
	void Construct(const FArguments&);
};
class SButton : public SDeclaredWidget
{
public:
	SLATE_BEGIN_ARGS(SButton) {}
		DECLARED_ARGUMENT(FText, Text)
		DECLARED_ARGUMENT(FReply, OnClicked)
	SLATE_END_ARGS()
	void Construct(const FArguments&);
};
class SCheckBox : public SDeclaredWidget
{
public:
	SLATE_BEGIN_ARGS(SCheckBox) {}
		DECLARED_ARGUMENT(ECheckBoxState, IsChecked)
		template <class F> requires std::is_invocable_v<F, ECheckBoxState> FArguments& OnCheckStateChanged_Lambda(F) NEVER_RUN
	SLATE_END_ARGS()
	void Construct(const FArguments&);
};
class SSlider : public SDeclaredWidget
{
public:
	SLATE_BEGIN_ARGS(SSlider) {}
		DECLARED_ARGUMENT(float, Value)
		template <class F> requires std::is_invocable_v<F, float> FArguments& OnValueChanged_Lambda(F) NEVER_RUN
	SLATE_END_ARGS()
	void Construct(const FArguments&);
};

// Tabs, menus
enum ETabRole { NomadTab };
class SDockTab : public SDeclaredWidget
{
public:
	SLATE_BEGIN_ARGS(SDockTab) {}
		FArguments& TabRole(ETabRole);
	SLATE_END_ARGS()
	void Construct(const FArguments&);
};
struct FSpawnTabArgs;
using FOnSpawnTab = TDeclaredDelegate<TSharedRef<SDockTab>, const FSpawnTabArgs&>;
struct FSlateIcon
{
	FSlateIcon(const FName&, const FName&);
};
struct FAppStyle
{
	static FName GetAppStyleSetName();
};
struct FWorkspaceItem;
struct FTabSpawnerEntry
{
	FTabSpawnerEntry& SetDisplayName(const FText&);
	FTabSpawnerEntry& SetTooltipText(const FText&);
	FTabSpawnerEntry& SetGroup(const TSharedRef<FWorkspaceItem>&);
	FTabSpawnerEntry& SetIcon(const FSlateIcon&);
};
struct FGlobalTabmanager
{
	static const TSharedRef<FGlobalTabmanager>& Get();
	FTabSpawnerEntry& RegisterNomadTabSpawner(const FName, const FOnSpawnTab&);
	bool UnregisterNomadTabSpawner(const FName);
	TSharedPtr<SDockTab> TryInvokeTab(const FName&);
};
namespace WorkspaceMenu
{
	struct FDeclaredStructure
	{
		TSharedRef<FWorkspaceItem> GetLevelEditorCategory() const;
	};
	const FDeclaredStructure& GetMenuStructure();
}
using FExecuteAction = TDeclaredDelegate<void>;
struct FCanExecuteAction {};
using FIsActionChecked = TDeclaredDelegate<bool>;
struct FUIAction
{
	FUIAction(FExecuteAction, FCanExecuteAction, FIsActionChecked);
};
enum class EUserInterfaceActionType { Button, ToggleButton };
struct FToolMenuOwner
{
	FToolMenuOwner(void*);
};
struct FToolMenuEntry
{
	static FToolMenuEntry InitToolBarButton(const FName, const FUIAction&, const TAttribute<FText>&, const TAttribute<FText>&,
		const TAttribute<FSlateIcon>&, const EUserInterfaceActionType);
};
struct FToolMenuSection
{
	FToolMenuEntry& AddEntry(const FToolMenuEntry&);
};
class UToolMenu : public UObject
{
public:
	FToolMenuSection& FindOrAddSection(const FName);
};
class UToolMenus : public UObject
{
public:
	static UToolMenus* Get();
	UToolMenu* ExtendMenu(const FName);
	static FDelegateHandle RegisterStartupCallback(const FSimpleMulticastDelegate::FDelegate&);
	static void UnRegisterStartupCallback(const void*);
	static void UnregisterOwner(FToolMenuOwner);
};
struct FToolMenuOwnerScoped
{
	FToolMenuOwnerScoped(const FToolMenuOwner);
};
struct ISettingsModule
{
	void ShowViewer(const FName&, const FName&, const FName&);
};

// Editor
class FLevelEditorViewportClient
{
public:
	bool IsPerspective() const;
	bool IsInGameView() const;
	void SetGameView(bool);
	void AddRealtimeOverride(bool, FText);
	bool RemoveRealtimeOverride(FText, bool = true);
};
class UEditorEngine : public UEngine
{
public:
	TObjectPtr<UWorld> PlayWorld;
	FViewport* GetActiveViewport();
	FViewport* GetPIEViewport();
	const TArray<FLevelEditorViewportClient*>& GetLevelViewportClients() const;
};
extern UEditorEngine* GEditor;
struct FObjectPreSaveContext {};
struct FCoreUObjectDelegates
{
	static TDeclaredMulticast<UObject*, FObjectPreSaveContext> OnObjectPreSave;
};
struct FEditorDelegates
{
	static FSimpleMulticastDelegate OnDuplicateActorsBegin, OnEditCopyActorsBegin, OnEditCutActorsBegin;
};
class IAssetViewport
{
public:
	virtual ~IAssetViewport();
#if ENGINE_MINOR_VERSION >= 5
	virtual void AddOverlayWidget(TSharedRef<SWidget>, int32 ZOrder = INDEX_NONE) = 0;
#else
	virtual void AddOverlayWidget(TSharedRef<SWidget>) = 0;
#endif
	virtual void RemoveOverlayWidget(TSharedRef<SWidget>) = 0;
};
struct FLevelEditorModule
{
	TSharedPtr<IAssetViewport> GetFirstActiveViewport();
};
namespace EAppMsgType
{
	enum Type { YesNo };
}
namespace EAppReturnType
{
	enum Type { Yes, No };
}
struct FMessageDialog
{
	static EAppReturnType::Type Open(EAppMsgType::Type, const FText&);
};

// Movie pipeline
enum class EMovieRenderShotState : uint8 { Uninitialized, WarmingUp, MotionBlur, Rendering, Finished };
enum class EMovieRenderPipelineState : uint8 { Uninitialized, ProducingFrames, Finalize, Export, Finished };
enum class EMoviePipelineValidationState : uint8 { Valid, Warnings, Errors };
struct FMoviePipelineShotInfo
{
	EMovieRenderShotState State;
};
class UMoviePipelineExecutorShot : public UObject
{
public:
	FMoviePipelineShotInfo ShotInfo;
};
class UMoviePipeline : public UObject
{
public:
	void RequestShutdown(bool);
};
class UMoviePipelineSetting : public UObject
{
public:
	virtual FText GetDisplayText() const;

protected:
	virtual void SetupForPipelineImpl(UMoviePipeline*);
	virtual void TeardownForPipelineImpl(UMoviePipeline*);
	virtual void ValidateStateImpl();
	TArray<FText> ValidationResults;
	EMoviePipelineValidationState ValidationState;
};
class UMoviePipelineOutputBase : public UMoviePipelineSetting
{
public:
	using Super = UMoviePipelineOutputBase;

protected:
	virtual bool HasFinishedProcessingImpl();
};
class UMoviePipelineAntiAliasingSetting : public UMoviePipelineSetting
{
public:
	int32 SpatialSampleCount, TemporalSampleCount;
};
class UMoviePipelineHighResSetting : public UMoviePipelineSetting
{
public:
	int32 TileCount;
};
class UMoviePipelinePrimaryConfig : public UObject
{
public:
	template <class T> T* FindSetting(bool bIncludeDisabled = false) const;
};
struct UMoviePipelineBlueprintLibrary
{
	static EMovieRenderShotState GetCurrentSegmentState(UMoviePipeline*);
	static void GetOverallOutputFrames(const UMoviePipeline*, int32&, int32&);
};
struct FMovieGraphRenderDataIdentifier;
namespace UE::MovieGraph
{
	struct FMovieGraphOutputMergerFrame;
}
class UMovieGraphPipeline;
class UMovieGraphEvaluatedConfig : public UObject
{
public:
	TArray<FName> GetBranchNames() const;
	template <class T> T* GetSettingForBranch(const FName&, bool bIncludeCDOs = true, bool bExactMatch = false) const;
};
struct FMovieGraphTimeStepData
{
	int32 OutputFrameNumber;
	TObjectPtr<UMovieGraphEvaluatedConfig> EvaluatedConfig;
};
class UMovieGraphTimeStepBase : public UObject
{
public:
	virtual FMovieGraphTimeStepData GetCalculatedTimeData() const;
};
class UMovieGraphPipeline : public UObject
{
public:
	UMovieGraphTimeStepBase* GetTimeStepInstance() const;
	const TArray<TObjectPtr<UMoviePipelineExecutorShot>>& GetActiveShotList() const;
	int32 GetCurrentShotIndex() const;
	void RequestShutdown(bool);
};
struct UMovieGraphBlueprintLibrary
{
	static EMovieRenderPipelineState GetPipelineState(const UMovieGraphPipeline*);
};
class UMovieGraphFileOutputNode : public UObject
{
public:
	virtual FText GetNodeTitle(const bool bGetDescriptive = false) const;

protected:
	virtual void OnReceiveImageDataImpl(UMovieGraphPipeline*, UE::MovieGraph::FMovieGraphOutputMergerFrame*,
		const TSet<FMovieGraphRenderDataIdentifier>&);
	virtual bool IsFinishedWritingToDiskImpl() const;
};
